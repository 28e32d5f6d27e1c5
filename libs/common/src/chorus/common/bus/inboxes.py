"""Where answers go: to an inbox, and nowhere else.

NATS lets whoever asks name any subject for the answer, and lets whoever serves publish there, whatever it is
(`allow_responses`). Taken at its word, a service would delete a stream or overwrite an entry for somebody who
may not: `$JS.API.STREAM.DELETE.…` takes an empty answer for an order.
"""

from nats.aio.msg import Msg

PREFIX = "_INBOX"


def inbox_prefix(user: str) -> str:
    """What the names of a user's inboxes begin with; nobody else may subscribe to them."""
    return f"{PREFIX}.{user}"


def reply_of(message: Msg) -> str:
    """The inbox in which an answer is awaited; "" where none is, or where it would be no answer."""
    return message.reply if message.reply.startswith(f"{PREFIX}.") else ""
