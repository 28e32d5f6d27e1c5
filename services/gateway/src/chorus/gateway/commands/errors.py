"""`!errors`: where models were wrong in tests, to look at, or as a file that a model can learn from.

Everybody sees their own tests; those who run the place see everybody's, where nobody else reads along. What
people tested who have opted out since is left out: it may become a dataset.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from chorus.common.contracts.feedback import Prediction, TestRecord
from chorus.common.contracts.models import BASE
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.keeping import opted_out
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.phrases import counted, minute
from chorus.gateway.commands.replies import Card, File, Reply, Text
from chorus.gateway.commands.rights import may
from chorus.gateway.commands.verdict import row

ROWS = 40


class Errors(Parameters):
    """What `!errors` takes."""

    model: str | None = Field(default=None, description="only of this model: `name`, `name@3`, or `base`")
    count: int = Field(default=3, ge=1, le=100, description="how many tests, the newest ones")
    to: str | None = Field(
        default=None, description="name of a file to learn from, in place of a table: `to=errors.json`"
    )


async def errors(ctx: Context, asked: Errors) -> Reply:
    """Show what was wrong in the newest tests, or hand it over."""
    tests = await _tests(ctx, asked)
    if not tests:
        of = f" of {asked.model}" if asked.model else ""
        return Text(f"No test{of} has gone wrong here in the last 30 days. Test with !test.")
    if asked.to:
        return _file(asked.to, tests)
    return _table(tests, private=any(test.person != ctx.user for test in tests))


async def _tests(ctx: Context, asked: Errors) -> list[TestRecord]:
    """The newest of them, newest first."""
    everybodys = await may(ctx, "manage")
    tests = await ctx.chorus.feedback.tests(ctx.guild, None if everybodys else ctx.user)
    out = await opted_out(ctx, (test.person for test in tests))
    wanted = [test for test in tests if test.person not in out and _is_of(test, asked.model)]
    return wanted[: asked.count]


def _is_of(test: TestRecord, model: str | None) -> bool:
    """Whether this model was tested. The base has a name of its own, without a version."""
    if model is None:
        return True
    return "@" not in test.model if model == BASE else model in (test.model, test.model.partition("@")[0])


def _table(tests: list[TestRecord], *, private: bool) -> Card:
    rows = [row for test in tests for row in _rows(test)]
    left_out = f"{len(rows) - ROWS} more rows: `!errors to=errors.json`. " if len(rows) > ROWS else ""
    footer = f"{left_out}To learn from them: !errors to=errors.json, then !train file=errors.json"
    columns = ("", "question", "prediction", "expected")
    return Card("Where models were wrong", columns, rows[:ROWS], footer, private=private, quotes=True)


def _rows(test: TestRecord) -> Iterable[tuple[str, ...]]:
    failed = f", {test.failed} failed" if test.failed else ""
    yield (
        "→",
        test.model,
        minute(test.at),
        f"{test.right} of {test.judged} right{failed}",
    )
    yield from (row(one) for one in test.wrong)


def _file(name: str, tests: list[TestRecord]) -> File:
    """What `!train` reads as conversation JSON, and `!test` as records: only what has an expected answer.

    A question that was wrong in several tests is there once. Raises `InvalidInput` where none is left.
    """
    wrong = {(one.input, one.expected): one for test in reversed(tests) for one in test.wrong}
    pairs = [_pair(one) for one in wrong.values() if one.expected is not None]
    if not pairs:
        raise InvalidInput(
            "No answer was expected to what failed, so there is nothing to learn. `!errors` shows it.",
            code="nothing_expected",
            param="to",
        )
    data = json.dumps(pairs, ensure_ascii=False, indent=2).encode() + b"\n"
    told = f"{counted(len(pairs), 'question')} with what was expected. Learn from it: `!train file={name}`"
    return File(name, Written(data), told, private=True)


def _pair(one: Prediction) -> dict[str, str]:
    """The two texts that are learned; beside them, what was said in their place."""
    more = {"prediction": one.prediction, "error": one.error}
    return {"user": one.input, "bot": one.expected or "", **{k: v for k, v in more.items() if v is not None}}


@dataclass(frozen=True)
class Written:
    """`ports.Download` of bytes that were just made."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    async def read(self) -> bytes:
        """All of it."""
        return self.data

    async def save(self, path: Path) -> None:
        """Write it to this machine's disk."""
        await asyncio.to_thread(path.write_bytes, self.data)

    def link(self, filename: str) -> str | None:  # noqa: ARG002 - the port's
        """It is stored nowhere."""
        return None
