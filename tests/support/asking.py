"""Questions to inference as anybody may write them by hand."""

import json

from nats.aio.msg import Msg

from chorus.common.bus.connection import Connection
from chorus.common.contracts.generation import GENERATE

HELLO = '{"messages":[{"role":"user","content":"hello"}]}'
ENDLESS = '{"n":8,"max_tokens":1900,"temperature":2,"top_k":0}'
"""Sampling: of eight such answers at least one is still being written after seconds."""


async def replies(connection: Connection, body: str, **headers: str) -> list[Msg]:
    """All replies to a hand-written request, up to the empty message or the error."""
    inbox = await connection.listen(connection.new_inbox())
    await connection.publish(GENERATE, body.encode(), inbox.subject, headers or None)
    got: list[Msg] = []
    while not got or got[-1].data:
        got.append(await inbox.next_msg(timeout=60))
    await inbox.unsubscribe()
    return got


async def answer(connection: Connection, question: str, **asked: object) -> str:
    body = {"messages": [{"role": "user", "content": question}], **asked}
    said = [json.loads(message.data) for message in (await replies(connection, json.dumps(body)))[:-1]]
    return "".join(piece["text"] for piece in said if piece["type"] == "delta")
