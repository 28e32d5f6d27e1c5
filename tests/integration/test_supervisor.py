"""What dies is started again, ever later; what cannot live is given up, with its last words."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from chorus.common.errors import Misconfigured, Unavailable
from chorus.common.local import supervisor
from chorus.common.local.process import Process, Program
from chorus.common.local.servers import HOST, free_ports
from chorus.common.local.supervisor import DEATHS, Supervisor
from tests.support.servers import Servers

LIVES = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
HTTPServer(("127.0.0.1", int(sys.argv[1])), BaseHTTPRequestHandler).serve_forever()
"""
DIES = "import sys; print('no luck today'); sys.exit(3)"
LASTING = {
    78: "import sys; print('part cannot start. CHORUS_X: mend it.'); sys.exit(78)",
    77: "import sys; print('a log'); print('part cannot go on. CHORUS_X: mend it.'); sys.exit(77)",
}


def process(folder: Path, code: str) -> Process:
    (port,) = free_ports(1)
    program = Program(
        name="part",
        command=[sys.executable, "-c", code, str(port)],
        ready_url=f"http://{HOST}:{port}/",
        environment={},
        folder=folder,
        ready_within=20.0,
        any_answer=True,
    )
    return Process(program, folder / "part.log")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)
    return []


async def test_what_is_killed_is_started_again(tmp_path: Path, told: list[str]) -> None:
    part = process(tmp_path, LIVES)
    await part.start()
    await part.until_ready()
    watching = asyncio.create_task(Supervisor([part], told.append).watch())
    for times in (1, 2):
        part.child.send_signal(signal.SIGKILL)
        async with asyncio.timeout(20):
            while len(told) < 2 * times:
                await asyncio.sleep(0.02)
    watching.cancel()
    await asyncio.wait({watching})
    await part.stop(5.0)
    assert told[0] == "part was ended by SIGKILL. It is started again in 0.0 s."
    assert told[1].startswith("part is ready again after")


async def test_what_dies_again_and_again_is_given_up(tmp_path: Path, told: list[str]) -> None:
    part = process(tmp_path, DIES)
    await part.start()
    with pytest.raises(Unavailable) as given_up:
        await Supervisor([part], told.append).watch()
    assert given_up.value.code == "gave_up"
    assert "part ended with exit code 3 and is not started again." in given_up.value.message
    assert "no luck today" in given_up.value.message
    assert len(told) == DEATHS - 1


@pytest.mark.parametrize("code", LASTING)
async def test_what_only_a_person_can_mend_is_told_and_not_tried_again(
    tmp_path: Path, told: list[str], code: int
) -> None:
    part = process(tmp_path, LASTING[code])
    await part.start()
    with pytest.raises(Unavailable) as given_up:
        await Supervisor([part], told.append).watch()
    assert told == []
    assert given_up.value.message.startswith(
        f"part ended with exit code {code} and is not started again. part cannot "
    )
    assert given_up.value.message.endswith("CHORUS_X: mend it.")


async def test_a_gateway_that_cannot_start_ends_the_stack_with_its_own_words(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where no .env of a developer lies
    monkeypatch.setenv("CHORUS_TRAIN_ON_MESSAGES", "permitted")
    with pytest.raises(
        Misconfigured, match=r"^gateway cannot start\. Settings to mend:\n  CHORUS_TRAIN_PERMISSION: "
    ):
        await servers.stack.console(["models"])
