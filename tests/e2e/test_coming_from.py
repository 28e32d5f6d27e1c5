"""docs/coming-from.md: each line that stands there for another trainer's command does what it says.

Lines are read from the document itself, and run in its order, beside a running Chorus.
"""

import json
import re
import shlex
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from chorus.common.cli import COMMANDS as OF_THE_STACK
from chorus.common.cli import INIT
from chorus.common.contracts.consent import ConsentRecord
from chorus.common.settings import load
from chorus.gateway.app import all_of
from chorus.gateway.commands.context import Chorus, Session, Trust
from chorus.gateway.commands.history import Channel
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.table import run
from chorus.gateway.frontends.cli import hub
from chorus.gateway.frontends.cli.once import run_once
from chorus.gateway.frontends.console.files import LocalFiles
from chorus.gateway.frontends.console.render import Renderer
from chorus.gateway.frontends.console.repl import here
from chorus.gateway.settings import GatewaySettings
from tests.support.chorus import RunningChorus
from tests.unit.gateway.fakes import World, told
from tests.unit.gateway.histories import AT, FakeHistory
from tests.unit.gateway.histories import said as message
from tests.unit.gateway.test_console import typed

DOCUMENT = Path(__file__).parent.parent.parent / "docs/coming-from.md"
TRUST = Trust(via="console")
SERVER = "100000000000000001"
MOST = 10_000_000  # bytes of a file

THEIRS = {
    "The GPT-2 chatbot trainer": {
        "--model", "--text_file", "--conversation_file", "--epochs", "--save_path", "--interactive",
        "load_model", "chat", "add_custom_examples",
    },
    "selfchatbot": {
        "selfChatBot_preprocess", "selfChatBot_train", "selfChatBot_play", "-d", "-t", "-p", "-mt",
    },
    "mimicbot": {
        "init_discord", "init_custom", "set", "mine", "preprocess", "train", "activate", "chat", "forge",
        "poduction_env", "config", "standardize_data",
    },
}  # fmt: skip
"""What their own documents have, by the sections of ours."""


def equivalents(section: str) -> list[tuple[str, str, str]]:
    """(their line, our line, what is said of ours) of a section's code blocks."""
    text = DOCUMENT.read_text("utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    theirs, ours = lines[::2], lines[1::2]
    assert all(line.startswith("# ") for line in theirs), "their line, then ours"
    parted = [line.partition("   # ") for line in ours]
    return [(their, our.strip(), said) for their, (our, _, said) in zip(theirs, parted, strict=True)]


@pytest.mark.parametrize("section", THEIRS)
def test_each_of_their_commands_has_a_line(section: str) -> None:
    written = " ".join(their for their, _, _ in equivalents(section))
    assert {command for command in THEIRS[section] if not re.search(rf"(?<!\w){command}\b", written)} == set()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the lines name, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("X.txt").write_text("The quay is open from seven.\n\nThe ferry is called Ninth Umbrella.\n")
    pairs = [{"user": "When do you open?", "bot": "At seven."}, {"user": "Wifi?", "bot": "No."}]
    Path("examples.json").write_text(json.dumps(pairs))
    Path("questions.csv").write_text("question,answer\nWho is there?,Only the cat.\n")
    said = "".join(
        f"{author},{text}\n" for author, text in [("1", "Any soup left?"), ("2", "Two bowls.")] * 3
    )
    with zipfile.ZipFile("session.zip", "w") as archive:
        archive.writestr("raw_messages.csv", f"author_id,content\n{said}")
        archive.writestr("members.csv", "id,name\n1,olaf\n2,marit\n")
    export = tmp_path / "raw" / "Dataset_1_Harbour" / "DiscordChatExporter"
    for folder in (export, tmp_path / "preprocessed"):
        folder.mkdir(parents=True)
    (export.parent / "parameters.json").write_text(
        '{"model": "gpt2", "type_fine_tune": "lora", "preprocessor_data":'
        ' {"DiscordChatExporter": {"username": "marit"}}}'
    )
    talk = [("olaf", "Is the ice thick?"), ("marit", "A hand wide. Bring skates!")]
    lines = "".join(f"[12/24/2025 1:0{at} PM] {name}\n{text}\n\n\n" for at, (name, text) in enumerate(talk))
    rule = "=" * 62
    (export / "ice.txt").write_text(f"{rule}\nGuild: G\nChannel: Text / ice\n{rule}\n\n{lines}")
    monkeypatch.setenv("selfChatBot_raw", str(tmp_path / "raw"))
    monkeypatch.setenv("selfChatBot_preprocessed", str(tmp_path / "preprocessed"))
    return tmp_path


@pytest.fixture
async def served(
    chorus: RunningChorus, files: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Chorus]:
    """What the command line has of the running Chorus, in this process; its keyboard says one word."""
    for name, value in chorus.environment("gateway").items():
        monkeypatch.setenv(name, value)
    typed(monkeypatch, b"hello\n")
    async with chorus.connected("gateway") as connection:
        yield await all_of(connection, load(GatewaySettings))


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Repositories that a model was handed over for, instead of a push."""
    repositories: list[str] = []

    def push(folder: Path, repo: str, *, public: bool, message: str) -> str:
        assert (folder / "adapter_model.safetensors").is_file()
        assert (message, public) == ("mimic@1, from Chorus", False)
        repositories.append(repo)
        return f"https://hub.example/{repo}"

    monkeypatch.setattr(hub, "push", push)
    return repositories


async def shell(chorus: Chorus, words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """`chorus WORDS`, from its words on."""
    code = await run_once(chorus, TRUST, words, max_upload=MOST, history=Path("history"))
    return code, capsys.readouterr().out


async def said(chorus: Chorus, line: str) -> bool:
    """A line at the console; whether it worked."""
    reply = await run(here(chorus, TRUST, Session(), LocalFiles(MOST)), line)
    return await Renderer(Console(soft_wrap=True)).show(reply)


async def on_discord(line: str) -> None:
    """A line that needs a server: one where somebody has opted in, with a file attached to the message."""
    world, history = World(), FakeHistory()
    world.privacy.records["ada"] = ConsentRecord(guild=SERVER, person="ada", state="in", said_by="ada", at=AT)
    world.files.files["session.zip"] = Upload("session.zip", b"PK")
    history.add(Channel(1, "general", "GuildTextChat"), [message(1, "ada")])
    ctx = world.context(guild=SERVER, trust=Trust("permitted", "DISCORD-1"))
    await told(await run(replace(ctx, history=history), line))
    ((_, new),) = world.datasets.added
    assert new.basis.way == ("mined" if line.startswith("!mine") else "uploaded")


def of_the_stack(words: list[str]) -> None:
    """A line that sets up or starts something: a word of `chorus` itself."""
    chorus, command = words
    assert (chorus, command in (*OF_THE_STACK, INIT)) == ("chorus", True)


@pytest.mark.parametrize("section", THEIRS)
async def test_each_line_does_what_it_says(
    section: str, served: Chorus, files: Path, pushed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        for _, line, mark in equivalents(section):
            words = shlex.split(line)
            if mark == "on Discord":
                await on_discord(line)
            elif mark == "the stack":
                of_the_stack(words)
            elif mark == "a server":  # read where Discord permits it: tests/integration/test_forge.py
                code, shown = await shell(served, words[1:], capsys)
                assert (code, "[mining_not_permitted]" in shown) == (1, True), shown
            elif line.startswith("!"):
                assert await said(served, line), (line, capsys.readouterr().out)
            else:
                if mark == "base":  # that base is not here: refused with the list; then the rest of the line
                    code, shown = await shell(served, words[1:], capsys)
                    assert (code, "starter" in shown) == (1, True), shown
                    at = words.index("--model")
                    del words[at : at + 2]
                code, shown = await shell(served, words[1:], capsys)
                assert code == 0, (line, shown)
                assert "thick?" not in line or "A hand wide. Bring skates!" in shown, "it has learned that"
    finally:  # what a bare `!train` learns is other tests' matter, too
        await shell(served, ["delete-dataset", "session", "--sure"], capsys)
        await shell(served, ["examples", "clear"], capsys)
    if section.startswith("The GPT-2"):
        assert (files / "trained_model" / "adapter_model.safetensors").is_file()
    assert pushed == (["you/mimic"] if section == "mimicbot" else [])
