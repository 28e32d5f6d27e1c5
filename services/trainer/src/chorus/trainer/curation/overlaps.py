"""What several exports of the same channel have in common: each message once."""

from chorus.trainer.curation.card import IN_ANOTHER_FILE, Tally
from chorus.trainer.curation.records import Message

_Said = tuple[str, str]
"""An author, and what they say."""


def each_once(messages: list[Message], tally: Tally) -> list[Message]:
    """Leave out what an overlapping export has as well. `messages` are in order of time.

    A message has the same id in every export that has ids, and the newer wording stays. Where one of two has
    none, as in CSV, it is the same if the same person says the same within the same second in another file;
    the one with an id stays, for replies go by it. Within one file people do say "ok" twice a minute.

    Only messages of one second are compared: that takes little memory and no time.
    """
    kept: list[Message] = []
    ids_everywhere = all(message.id for message in messages)
    until = 0.0  # the end of the second that is looked at
    by_id: dict[tuple[str, str], Message] = {}
    said: dict[_Said, list[int]] = {}  # where they stand among those that are kept
    for message in messages:
        if message.at >= until:
            until = int(message.at) + 1.0
            by_id, said = {}, {}
        if message.id:
            earlier = by_id.setdefault((message.channel, message.id), message)
            if earlier is not message:
                if message.edited_at > earlier.edited_at:
                    earlier.text, earlier.edited_at = message.text, message.edited_at
                tally.drop(IN_ANOTHER_FILE)
                continue
        if not ids_everywhere and message.at:
            places = said.setdefault(_said(message), [])
            twin = _twin(message, places, kept)
            if twin is not None:
                if message.id:
                    kept[twin] = message
                tally.drop(IN_ANOTHER_FILE)
                continue
            places.append(len(kept))
        kept.append(message)
    return kept


def _twin(message: Message, places: list[int], kept: list[Message]) -> int | None:
    """Where the same message stands already, as another file has it. Two with ids are two messages."""
    for place in places:
        other = kept[place]
        if other.source != message.source and not (other.id and message.id):
            return place
    return None


def _said(message: Message) -> _Said:
    """Up to whoever is mentioned: one export writes names there, another one ids."""
    text = message.text
    for mention in ("<@", "@"):
        text = text.partition(mention)[0]
    return message.author, text.strip()
