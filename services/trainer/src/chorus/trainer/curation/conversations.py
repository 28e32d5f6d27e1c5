"""Messages of a channel as conversations.

A reply belongs to the conversation of what it answers, even where others talk in between or some hours
went by. Any other message goes on with the conversation that its author is in, or else with what was said
last, unless that is too long ago. A conversation never leaves its channel; a thread is a channel.

Where it is never quiet, or nobody knows when something was said, there is no such gap: then a conversation
ends after some hundred messages, so that the newest of them can be kept aside.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chorus.trainer.curation.records import Message

REPLY_WITHIN = 24 * 3600  # seconds; a reply to something older starts anew, for the talk has moved on
LONGEST = 500  # messages; an example holds about 50


@dataclass(slots=True)
class _Conversation:
    last_at: float
    messages: list[Message] = field(default_factory=list)

    def goes_on(self, at: float, gap: int) -> bool:
        """Whether what is said at this time, to nobody in particular, belongs to it."""
        return at - self.last_at <= gap and len(self.messages) < LONGEST


@dataclass(slots=True)
class _Channel:
    """Where a channel's talk stands."""

    latest: _Conversation | None = None
    of: dict[str, _Conversation] = field(default_factory=dict)
    """By author: what they said something in last, or were answered in."""
    answered: dict[str, tuple[_Conversation, str]] = field(default_factory=dict)
    """By id of a message that has replies: where it stands, and its author."""


def group(messages: Sequence[Message], gap_minutes: int) -> list[list[Message]]:
    """Conversations, in the order in which they began. `messages` are in order of time."""
    gap = gap_minutes * 60
    found: list[_Conversation] = []
    channels: dict[str, _Channel] = {}
    has_replies = {message.reply_to for message in messages if message.reply_to}
    for message in messages:
        channel = channels.get(message.channel)
        if channel is None:
            channel = channels[message.channel] = _Channel()
        conversation = _answered(message, channel) or _going_on(message, channel, gap)
        if conversation is None:
            conversation = _Conversation(message.at)
            found.append(conversation)
        conversation.messages.append(message)
        conversation.last_at = message.at
        channel.latest = channel.of[message.author] = conversation
        if message.id in has_replies:
            channel.answered[message.id] = (conversation, message.author)
    return [conversation.messages for conversation in found]


def _answered(message: Message, channel: _Channel) -> _Conversation | None:
    """The conversation of what this message replies to. Whoever is answered is in it again."""
    if not message.reply_to or message.reply_to not in channel.answered:
        return None
    conversation, author = channel.answered[message.reply_to]
    if message.at - conversation.last_at > REPLY_WITHIN:
        return None
    channel.of[author] = conversation
    return conversation


def _going_on(message: Message, channel: _Channel, gap: int) -> _Conversation | None:
    """The conversation that this author is in, or the newest one; None if both are over."""
    for conversation in (channel.of.get(message.author), channel.latest):
        if conversation is not None and conversation.goes_on(message.at, gap):
            return conversation
    return None
