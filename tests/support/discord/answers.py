"""Answers as Discord words them."""

import json

from aiohttp import web


def answer(body: object, status: int = 200, **headers: str) -> web.Response:
    """JSON as Discord sends it: `Via` shows that no wall in front of it has answered."""
    text = b"" if body is None else json.dumps(body).encode()
    return web.Response(
        status=status, body=text, headers={"Content-Type": "application/json", "Via": "1.1 double", **headers}
    )


def refusal(status: int, code: int, message: str) -> web.Response:
    """An error as Discord words it."""
    return answer({"message": message, "code": code}, status)


def come_again(wait: float, left: dict[str, str]) -> web.Response:
    """Who asks too often is told when to come again."""
    body = {"message": "You are being rate limited.", "retry_after": wait, "global": False}
    return answer(body, 429, **left)
