"""The `chorus` command: its own words, and those that it hands to the gateway."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from chorus.common import cli
from chorus.common.errors import Misconfigured, Unavailable
from chorus.common.local import console
from chorus.common.local.console import join
from chorus.common.local.folder import DataFolder
from chorus.common.service import EX_CONFIG


def ran(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["chorus", *words])
    return cli.main()


@pytest.mark.parametrize(
    ("words", "code"), [([], 2), (["--help"], 0), (["-h"], 0), (["up", "there"], 2), (["console", "-v"], 2)]
)
def test_what_it_says_of_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    assert ran(monkeypatch, *words) == code
    said = capsys.readouterr()
    assert ("chorus import export.json --name club" in said.out) or "takes nothing" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["datasets"],
        ["import", "a.json"],
        ["preprocess", "-d", "1"],
        ["console"],
        ["status"],
        ["backup", "."],
        ["restore", "x.tar"],
    ],
)
def test_where_nothing_runs_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    monkeypatch.setenv("CHORUS_DATA", str(tmp_path))
    assert ran(monkeypatch, *words) == 1
    assert capsys.readouterr().err == f"No Chorus runs on {tmp_path}. Start it with `make run`.\n"


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    """A folder as a stack leaves it while it runs."""
    folder = DataFolder(tmp_path)
    folder.keys.mkdir()
    folder.logs.mkdir()
    folder.stack.write_text(json.dumps({"nats": "nats://127.0.0.1:1", "s3": "http://127.0.0.1:2"}))
    monkeypatch.setattr(DataFolder, "is_held", lambda _: True)
    return folder


async def started(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, script: str, words: Sequence[str]
) -> int:
    """`join`, with a program of ours in place of the gateway."""

    async def start(environment: Mapping[str, str], log: Path, given: Sequence[str] = ()) -> object:
        with log.open("wb") as errors:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, *given, stderr=errors, env=dict(environment)
            )

    monkeypatch.setattr(console, "start_console", start)
    return await join(folder.root, words)


async def test_a_command_runs_for_what_runs_here(
    running: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import os, sys; secret = os.environ['CHORUS_S3_SECRET_KEY']; "
        "sys.exit(sys.argv[1:] != ['archive', 'a b'] or len(secret) < 20)"
    )
    assert await started(running, monkeypatch, script, ["archive", "a b"]) == 0
    assert await started(running, monkeypatch, script, ["archive"]) == 1


async def test_a_gateway_that_cannot_start_says_why(
    running: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"import sys; print('gateway cannot start. Mend it.', file=sys.stderr); sys.exit({EX_CONFIG})"
    with pytest.raises(Misconfigured, match=r"^gateway cannot start\. Mend it\.$"):
        await started(running, monkeypatch, script, ["datasets"])


async def test_a_stack_that_is_just_starting_is_not_there_yet(running: DataFolder) -> None:
    running.stack.unlink()
    with pytest.raises(Unavailable):
        await join(running.root, ["datasets"])


# --- `chorus init` and `chorus forge` -----------------------------------------------------------
def test_init_is_the_gateway_s_and_needs_nothing_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    ran_as: list[list[str]] = []

    def execv(_: str, words: list[str]) -> None:
        ran_as.append(words)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execv)
    with pytest.raises(SystemExit):
        ran(monkeypatch, "init", "--yes")
    assert ran_as == [[sys.executable, "-m", "chorus.gateway", "init", "--yes"]]


@pytest.mark.parametrize(("words", "code"), [(["forge"], 2), (["forge", "--help"], 0)])
def test_forge_explains_itself_without_starting_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    assert ran(monkeypatch, *words) == code
    assert "chorus forge FILE" in capsys.readouterr().out


@pytest.mark.parametrize("is_held", [True, False])
def test_forge_uses_what_runs_or_starts_everything_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_held: bool
) -> None:
    monkeypatch.setenv("CHORUS_DATA", str(tmp_path))
    monkeypatch.setenv("CHORUS_BASE_MODEL", "starter")
    monkeypatch.setattr(DataFolder, "is_held", lambda _: is_held)
    used: list[tuple[str, Sequence[str]]] = []

    async def joined(_: Path, words: Sequence[str]) -> int:
        used.append(("joined", words))
        return 0

    async def brought_up(words: Sequence[str]) -> int:
        used.append((os.environ["CHORUS_BASE_MODEL"], words))
        return 0

    monkeypatch.setattr(cli, "join", joined)
    monkeypatch.setattr(cli, "_up", brought_up)
    words = ["forge", "a.json", "--base", "me/base", "--question", "Hi?"]
    assert ran(monkeypatch, *words) == 0
    assert used == [("joined" if is_held else "me/base", words)]
