"""Records of a test, as people write them: one, or a list of them, or one on each line.

    {"text": "When do you open?"}
    [{"name": "hours", "input": "When do you open?", "expected": "At seven."}, …]
    ```json
    [{"prompt": "Wifi?", "label": "No."}]
    ```

A question is `input`, `text` or `prompt`, what is expected `expected` or `label`; `user` and `bot` will do,
as in what a model learns from. Other keys are passed over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chorus.common.errors import InvalidInput, TooLarge, in_short
from chorus.gateway.commands.blocks import unfenced

ASKED = ("input", "text", "prompt", "user", "question")
EXPECTED = ("expected", "label", "bot", "answer")
MOST = 500  # records in one test
LONGEST = 8000  # characters of a question, or of an answer

FORMAT = "Invalid test data format. Please provide a valid JSON string."
SHAPE = '[{"text": "When do you open?", "expected": "At seven."}]'
NEAR = 20  # characters on each side of what is wrong


@dataclass(frozen=True)
class Case:
    """One question, and what should be answered, where somebody said so."""

    question: str
    expected: str | None


def cases_of(text: str) -> list[Case]:
    """The records. Raises `InvalidInput` that says where it is wrong, `TooLarge` over a limit."""
    records = _read(unfenced(text))
    if not records:
        raise _wrong(f"There are no records in it. Write {SHAPE}", "nothing_to_test")
    if len(records) > MOST:
        raise TooLarge(
            f"At most {MOST} records are tested at once, and these are {len(records):,}. Split them.",
            code="too_many_records",
            param="test_data",
        )
    several = len(records) > 1
    return [_case(record, f"Record {at}: " if several else "") for at, record in enumerate(records, 1)]


def _read(text: str) -> list[Any]:
    """The JSON values: of a list its items."""
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.lstrip().startswith("{") for line in lines):
            return [_line(line, at) for at, line in enumerate(lines, 1)]
        raise _not_json(text, error) from None
    return value if isinstance(value, list) else [value]


def _line(line: str, at: int) -> Any:
    try:
        return json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _not_json(line, error, f"Line {at}: ") from None


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _not_json(text: str, error: Exception, where: str = "") -> InvalidInput:
    """What the reader stumbled over, and where; with what is the matter most often."""
    if not isinstance(error, json.JSONDecodeError):
        return _wrong(f"{where}{in_short(str(error))}.")
    at = error.pos
    place = f"line {error.lineno}, character {error.colno}" if "\n" in text else f"character {at + 1}"
    near = " ".join(text[max(0, at - NEAR) : at + NEAR].split()) or "its end"
    told = error.msg.removesuffix(" enclosed in double quotes").removesuffix(" at")
    quotes = " Texts stand in straight double quotes." if _has_other_quotes(text, at) else ""
    return _wrong(f"{where}{told} at {place}, near {in_short(near)}.{quotes} Write {SHAPE}")


def _has_other_quotes(text: str, at: int) -> bool:
    return text[at : at + 1] in ("'", "“", "”", "„", "‘", "’")


def _case(record: Any, where: str) -> Case:
    if isinstance(record, str):
        record = {ASKED[0]: record}
    if not isinstance(record, Mapping):
        raise _wrong(f"{where}{in_short(json.dumps(record))} is no record. Write {SHAPE}")
    question = _first(record, ASKED, where)
    if question is None or not question.strip():
        names = " or ".join(f"`{name}`" for name in ASKED[:3])
        raise _wrong(f"{where}There is no question. It stands in {names}: {SHAPE}")
    expected = _first(record, EXPECTED, where)
    return Case(question, expected if expected and expected.strip() else None)


def _first(record: Mapping[str, Any], names: tuple[str, ...], where: str) -> str | None:
    """The text in the first of these keys that is there."""
    name = next((name for name in names if record.get(name) is not None), None)
    if name is None:
        return None
    value = record[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise _wrong(f"{where}`{name}` is {in_short(json.dumps(value))}, which is no text.")
    if len(value) > LONGEST:
        raise TooLarge(
            f"{where}`{name}` has {len(value):,} characters; at most {LONGEST:,} are taken.",
            code="record_too_long",
            param=name,
        )
    return value.encode("utf-8", "replace").decode()  # half an emoji, say, cannot be sent


def _wrong(why: str, code: str = "invalid_test_data") -> InvalidInput:
    return InvalidInput(f"{FORMAT} {why}", code=code, param="test_data")
