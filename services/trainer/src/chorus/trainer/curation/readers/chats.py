"""Chats as services for fine-tuning take them, as JSON: an object a line, or a list.

    {"messages": [{"role": "user", "content": "…", "name": "…"}, {"role": "assistant", "content": "…"}]}
    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}       ShareGPT

Our own examples are such chats, with a `label`, and with the `contributors` whose words they are. A content
may be a list of parts; its texts are taken. A chat that uses tools is passed over: half of what was said in
it is not text.
"""

from collections.abc import Iterator

from chorus.common.contracts.consent import BY_NAME, is_id
from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.curation.readers.conversation import conversation
from chorus.trainer.curation.readers.entries import Entry, WrongShape, entries, shaped
from chorus.trainer.curation.readers.json_start import json_start
from chorus.trainer.curation.readers.pairs import first_of
from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.records import Dropped, ReadTurn, Record, Role, author_by_name
from chorus.trainer.curation.source import Source

_CHAT = ("messages", "conversations", "conversation")
_ROLES: dict[object, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bard": "assistant",
    "bing": "assistant", "bot": "assistant", "model": "assistant", "ai": "assistant",
}  # fmt: skip
_TOOLS = {"tool", "function", "function_call", "observation", "tool_call", "tool_response"}
_EXPECTED = 'Each entry needs {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", …}]}.'


def _fits(head: str) -> bool:
    start = json_start(head)
    return bool(start and start.is_of_objects and first_of(_CHAT, start.keys))


def _read(source: Source, _options: BuildOptions) -> Iterator[Record]:
    return shaped(entries(source), lambda entry: _chat(entry, source.name), _EXPECTED)


def _chat(entry: Entry, source: str) -> Record:
    fields = entry.value
    if not isinstance(fields, dict):
        raise WrongShape("is no object")
    key = first_of(_CHAT, fields)
    if not key or not isinstance(fields[key], list):
        raise WrongShape(f"has no list `{key or _CHAT[0]}`")
    system = fields.get("system")
    turns = [ReadTurn("system", system)] if isinstance(system, str) and system.strip() else []
    for number, turn in enumerate(fields[key]):
        if not isinstance(turn, dict):
            raise WrongShape(f"has no object in `{key}.{number}`")
        if _uses_tools(turn):
            return Dropped("uses tools")
        turns.append(_turn(turn, f"{key}.{number}"))
    label = fields.get("label", fields.get("positive"))
    return conversation(
        turns, entry.where, source, label if isinstance(label, bool) else None, _authors(fields)
    )


def _authors(fields: dict[str, object]) -> list[str]:
    """Whose words it is, as our own examples say it: ids, and names where a source had none."""
    given = fields.get("contributors")
    people = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    return [one if is_id(one) else author_by_name(one.removeprefix(BY_NAME)) for one in people]


def _uses_tools(turn: dict[str, object]) -> bool:
    said_by = turn.get("role", turn.get("from"))
    return bool(turn.get("tool_calls") or turn.get("function_call")) or (
        isinstance(said_by, str) and said_by in _TOOLS
    )


def _turn(turn: dict[str, object], where: str) -> ReadTurn:
    said_by, said = ("role", "content") if "role" in turn else ("from", "value")
    role = turn.get(said_by)
    if not isinstance(role, str) or role not in _ROLES:
        raise WrongShape(f"has a wrong `{where}.{said_by}`, or none")
    name = turn.get("name")
    return ReadTurn(
        _ROLES[role], _text(turn.get(said), f"{where}.{said}"), name if isinstance(name, str) else None
    )


def _text(content: object, where: str) -> str:
    """The content, or the texts among its parts; pictures and sounds are no text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise WrongShape(f"has a `{where}` that is no text")
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


CHATS = Reader("messages JSON", _fits, _read)
