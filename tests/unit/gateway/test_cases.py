"""Records of a test as people write them: JSON in quotes, in code fences, bare; and what is wrong with it."""

import json

import pytest

from chorus.common.errors import ChorusError, InvalidInput
from chorus.gateway.commands.cases import FORMAT, LONGEST, MOST, Case, cases_of
from chorus.gateway.commands.parsing import bind
from chorus.gateway.commands.testing import Trial

HOURS = '{"text": "When do you open?", "label": "At seven."}'


@pytest.mark.parametrize(
    "written",
    [
        HOURS,
        f"[{HOURS}]",
        f"'[{HOURS}]'",
        f'"[{HOURS}]"',
        f"“[{HOURS}]”",
        f"```json\n[{HOURS}]\n```",
        f"```\n{HOURS}\n```",
        f"```{HOURS}```",
        f"`{HOURS}`",
        f"test_data='[{HOURS}]'",
        f"test_data=[{HOURS}]",
        f"--test-data {HOURS}",
        f"test_data=```json\n{HOURS}\n```",
        f"model=club [{HOURS}]",
        f"[{HOURS}] model=club bare=yes",
        '[{"name": "hours", "input": "When do you open?", "expected": "At seven."}]',
        '{"prompt": "When do you open?", "expected": "At seven.", "text": null}',
        '{"user": "When do you open?", "bot": "At seven.", "prediction": "Never."}',
    ],
)
def test_records_are_understood_as_people_write_them(written: str) -> None:
    trial = bind(Trial, "records", written)
    assert cases_of(trial.records or trial.test_data or "") == [Case("When do you open?", "At seven.")]


def test_nothing_in_a_record_is_an_option_or_closes_quotes() -> None:
    record = """[{"text": "the dogs' model=big file=x, they're 'fine'", "label": "'"}]"""
    for written in (record, f"'{record}'", f"test_data='{record}'"):
        trial = bind(Trial, "records", f"{written} model=club")
        assert cases_of(trial.records or trial.test_data or "") == [
            Case("the dogs' model=big file=x, they're 'fine'", "'")
        ]
        assert (trial.model, trial.file) == ("club", None)


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (
            "[{'text': 'a'}]",
            "invalid_test_data",
            "character 3, near [{'text': 'a'}]. Texts stand in straight",
        ),
        ('{"text', "invalid_test_data", "Unterminated string starting at character 2"),
        ('[{"text": "a" "label": "b"}]', "invalid_test_data", "Expecting ',' delimiter at character 15"),
        ('[\n {"text": "a"},\n {"text": }\n]', "invalid_test_data", "line 3, character 11"),
        ('{"text": "a"}\n{"text": b}', "invalid_test_data", "Line 2: Expecting value at character 10"),
        ("When do you open?", "invalid_test_data", "character 1"),
        ("[" * 9999, "invalid_test_data", ""),
        ("NaN", "invalid_test_data", "NaN"),
        ("[]", "nothing_to_test", "no records"),
        ('[{"text": "a"}, {"label": "b"}]', "invalid_test_data", "Record 2: There is no question"),
        ('{"text": ["a"]}', "invalid_test_data", '`text` is ["a"], which is no text'),
        ("[1]", "invalid_test_data", "1 is no record"),
        (json.dumps([{"text": "a"}] * (MOST + 1)), "too_many_records", "these are 501"),
        (json.dumps({"text": "a" * (LONGEST + 1)}), "record_too_long", "8,001 characters"),
    ],
)
def test_what_is_wrong_with_records_is_told_with_its_place(text: str, code: str, where: str) -> None:
    with pytest.raises(ChorusError) as wrong:
        cases_of(text)
    assert (wrong.value.code, where in wrong.value.message) == (code, True), wrong.value.message
    assert wrong.value.message.startswith(FORMAT) == isinstance(wrong.value, InvalidInput)


def test_what_no_text_can_be_is_mended_or_refused() -> None:
    assert cases_of('{"text": "half \\ud83d", "label": 7}') == [Case("half ?", "7")]
    assert cases_of('["a", "b"]') == [Case("a", None), Case("b", None)]
    assert cases_of('{"text": "a"}\n\n{"text": "b", "label": ""}\n') == [Case("a", None), Case("b", None)]
