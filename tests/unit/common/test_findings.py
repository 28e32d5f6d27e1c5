"""What checks found out: side by side, each in its time, and never a secret."""

import asyncio
import json

from chorus.common.errors import Unavailable
from chorus.common.operations.findings import (
    Finding,
    Verdict,
    all_well,
    doubtful,
    examined,
    for_people,
    for_programs,
    good,
    without_secrets,
    wrong,
)


async def well() -> list[Finding]:
    return [good("well", "It is.")]


async def never() -> list[Finding]:
    await asyncio.Event().wait()
    return []


async def away() -> list[Finding]:
    raise Unavailable("Nobody is there. Start it.")


async def broken() -> list[Finding]:
    raise ZeroDivisionError("division by zero")


async def test_a_check_that_fails_itself_hides_no_other() -> None:
    told, other = await examined({"first": broken, "second": well}, 1.0)
    assert told.what == "The check itself failed (ZeroDivisionError: division by zero)."
    assert other.verdict is Verdict.GOOD


async def test_what_never_ends_is_cut_off_and_keeps_nobody_waiting() -> None:
    found = await examined({"first": never, "second": away, "third": well}, 0.1)
    assert [(one.name, one.verdict) for one in found] == [
        ("first", Verdict.WRONG),
        ("second", Verdict.WRONG),
        ("well", Verdict.GOOD),
    ]
    assert found[1].what == "Nobody is there. Start it."


def test_a_line_for_each_and_what_to_do_below_it() -> None:
    found = [good("nats", "It is there."), wrong("discord", "Two things:\n  one\n  two", "Mend them.")]
    assert for_people(found).splitlines() == [
        "✓ nats     It is there.",
        "✗ discord  Two things:",
        "           one",
        "           two",
        "           → Mend them.",
    ]
    assert not all_well(found)


def test_programs_read_the_same() -> None:
    told = json.loads(for_programs([doubtful("disk", "Little is left.", "Make room.")]))
    assert told == {
        "ok": True,
        "findings": [{"name": "disk", "verdict": "doubtful", "what": "Little is left.", "fix": "Make room."}],
    }


def test_no_secret_is_shown_wherever_it_stands() -> None:
    found = [wrong("s3", "s3cr3t-key at http://me:s3cr3t-pass@host:1/x", "Not s3cr3t-key-longer.")]
    shown = for_people(without_secrets(found, ["s3cr3t-key", "s3cr3t-key-longer", "at"]))
    assert "s3cr3t" not in shown
    assert "http://…@host:1/x" in shown
    assert " at " in shown, "a word that is too short to be a secret stays"
