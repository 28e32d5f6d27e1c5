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


def come_again(
    wait: float, left: dict[str, str], *, everywhere: bool = False, code: int | None = None
) -> web.Response:
    """Who asks too often is told when to come again; `everywhere` if that goes for whatever it asks."""
    body: dict[str, object] = {
        "message": "You are being rate limited.", "retry_after": wait, "global": everywhere,
    }  # fmt: skip
    if code is not None:
        body["code"] = code
    return answer(body, 429, **left, **({"X-RateLimit-Global": "true"} if everywhere else {}))
