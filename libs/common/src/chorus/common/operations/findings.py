"""What checks found out, for people and for programs. Checks run side by side, each in its time."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from chorus.common.errors import ChorusError, in_short

HIDDEN = "…"
SHORTEST_SECRET = 6  # signs; a shorter one stands in too many words
PASSWORD = re.compile(r"(?<=://)[^\s/@]+(?=@)")


class Verdict(StrEnum):
    """How something is."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    """It works, or need not; but somebody should know."""
    WRONG = "wrong"


SIGNS = {Verdict.GOOD: "✓", Verdict.DOUBTFUL: "!", Verdict.WRONG: "✗"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    what: str
    fix: str = ""
    """What to do about it."""


Check = Callable[[], Awaitable[Sequence[Finding]]]


def good(name: str, what: str) -> Finding:
    """All is well."""
    return Finding(name, Verdict.GOOD, what)


def doubtful(name: str, what: str, fix: str = "") -> Finding:
    """Somebody should know."""
    return Finding(name, Verdict.DOUBTFUL, what, fix)


def wrong(name: str, what: str, fix: str = "") -> Finding:
    """It has to be mended."""
    return Finding(name, Verdict.WRONG, what, fix)


async def examined(checks: Mapping[str, Check], within: float) -> list[Finding]:
    """What all checks find, side by side and in their order; one may take `within` seconds."""
    found = await asyncio.gather(*(_examined(name, check, within) for name, check in checks.items()))
    return [finding for findings in found for finding in findings]


async def _examined(name: str, check: Check, within: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(within):
            return await check()
    except TimeoutError:
        return [wrong(name, f"No answer within {within:.0f} s.", "Is there a firewall in between?")]
    except ChorusError as error:
        return [wrong(name, error.message)]
    except Exception as error:  # what one check meets must not hide what the others found
        return [wrong(name, f"The check itself failed ({type(error).__name__}: {in_short(str(error))}).")]


def without_secrets(findings: Iterable[Finding], secrets: Iterable[str]) -> list[Finding]:
    """The same, in whose words no secret stands, nor what precedes the `@` of an address."""
    long = sorted((secret for secret in secrets if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)

    def hidden(text: str) -> str:
        for secret in long:
            text = text.replace(secret, HIDDEN)
        return PASSWORD.sub(HIDDEN, text)

    return [replace(one, what=hidden(one.what), fix=hidden(one.fix)) for one in findings]


def for_people(findings: Sequence[Finding]) -> str:
    """A line for each, and below it what to do."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines: list[str] = []
    for finding in findings:
        first, *more = [*finding.what.splitlines(), *([f"→ {finding.fix}"] if finding.fix else [])]
        lines.append(f"{SIGNS[finding.verdict]} {finding.name:<{width}}  {first}")
        lines += [f"{' ' * (width + 4)}{line.strip()}" for line in more]
    return "\n".join(lines)


def for_programs(findings: Sequence[Finding]) -> str:
    """JSON: whether nothing is wrong, and all findings."""
    return json.dumps(
        {"ok": all_well(findings), "findings": [asdict(finding) for finding in findings]},
        ensure_ascii=False,
        indent=2,
    )


def all_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.verdict is not Verdict.WRONG for finding in findings)
