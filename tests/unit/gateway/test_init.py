"""`chorus init`: what is asked and checked, and what is written down."""

import asyncio
import contextlib
import errno
import shutil
import socket
import stat
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from dotenv import set_key
from rich import prompt

from chorus.common.errors import Misconfigured, Unavailable
from chorus.common.settings import load
from chorus.gateway import __main__ as gateway
from chorus.gateway.frontends.cli import checks, envfile
from chorus.gateway.frontends.cli.init import init
from chorus.gateway.frontends.cli.questions import Question, Terminal
from chorus.gateway.frontends.discord.frontend import UNKNOWN_BOT
from chorus.gateway.frontends.discord.invite import Bot, invitation, look_up
from chorus.gateway.settings import GatewaySettings
from tests.support.discord.double import running_discord

LEAST = 1 << 10 | 1 << 11 | 1 << 38 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 6 | 1 << 31
"""View channels, send messages, also in threads, embed, attach, read history, react, use commands."""
TOKEN = "a.secret.token"
ASK_DISCORD = checks.bot_of


class Typed:
    """Somebody who types these answers; without one left, the default."""

    def __init__(self, **answers: str | list[str]) -> None:
        self.answers = {name: [a] if isinstance(a, str) else list(a) for name, a in answers.items()}
        self.asked: list[str] = []
        self.said: list[str] = []
        self.agrees = True

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask(self, question: Question, default: str) -> str:
        self.asked.append(question.flag)
        left = self.answers.get(question.flag.replace("-", "_"))
        return left.pop(0) if left else default

    def confirm(self, text: str) -> bool:
        self.said.append(text)
        return self.agrees


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder, and a Discord that knows one token."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checks, "bot_of", known)
    return tmp_path


def known(token: str, api: str) -> Bot:
    assert api == "https://discord.com/api/v10"
    if token != TOKEN:
        raise Misconfigured(UNKNOWN_BOT)
    return Bot("chorus#0000", 123, reads_messages=True)


def written() -> dict[str, str]:
    return dict(line.split("=", 1) for line in Path(".env").read_text().splitlines() if "=" in line)


def test_all_defaults_need_nobody() -> None:
    typed = Typed()
    assert init(["--yes"], typed) == 0
    assert not typed.asked
    assert written() == {
        "CHORUS_BASE_MODEL": "starter",
        "CHORUS_NATS_PORT": "0",
        "CHORUS_DATA": "'.chorus'",
        "CHORUS_SPEECH_LANGUAGE": "'en-us'",
    }
    assert "chorus up" in typed.said[-1]
    assert "chorus forge" in typed.said[-1]


def test_with_a_token_the_bot_is_looked_up_and_invited_with_the_least_permissions() -> None:
    typed = Typed(token=TOKEN, guild="1234567890123456789")
    assert init([], typed) == 0
    shown = "\n".join(typed.said)
    assert "it is chorus#0000's." in shown
    assert TOKEN not in shown
    link = urlsplit(next(line.strip() for line in shown.splitlines() if "oauth2/authorize" in line))
    asked = {name: value[0] for name, value in parse_qs(link.query).items()}
    assert asked["permissions"] == str(LEAST)
    assert (asked["scope"], asked["client_id"]) == ("bot applications.commands", "123")
    assert asked["guild_id"] == "1234567890123456789"
    assert written()["CHORUS_DISCORD_TOKEN"] == f"'{TOKEN}'"
    assert (written()["CHORUS_DISCORD_INTENTS"], written()["CHORUS_TRAIN_ON_MESSAGES"]) == (
        "messages", "submitted",
    )  # fmt: skip
    assert stat.S_IMODE(Path(".env").stat().st_mode) == 0o600


def test_what_it_writes_is_what_the_services_read() -> None:
    assert init(["--token", TOKEN, "--train-on-messages", "permitted", "--yes",
                 "--train-permission", "it's of 2026-10-01, case #7"], Typed()) == 0  # fmt: skip
    settings = load(GatewaySettings)
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == TOKEN
    assert settings.train_permission == "it's of 2026-10-01, case #7"


def test_voice_is_permitted_only_when_it_is_asked_for() -> None:
    voice = int(parse_qs(urlsplit(invitation(1, voice=True)).query)["permissions"][0])
    assert voice == LEAST | 1 << 20 | 1 << 21 | 1 << 46


def test_a_wrong_answer_is_explained_and_asked_for_again() -> None:
    typed = Typed(token=["wrong", TOKEN], guild=["my server", ""], language=["Klingon!", "de"])
    assert init([], typed) == 0
    assert typed.asked.count("token") == typed.asked.count("guild") == typed.asked.count("language") == 2
    assert f"✗ {UNKNOWN_BOT}" in typed.said
    assert written()["CHORUS_SPEECH_LANGUAGE"] == "de"


def test_a_wrong_flag_writes_nothing() -> None:
    typed = Typed()
    assert init(["--token", "wrong", "--yes"], typed) == 78
    assert typed.said == [f"✗ {UNKNOWN_BOT}"]
    assert not Path(".env").exists()


def test_an_address_that_would_get_the_token_is_told_before_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHORUS_DISCORD_API_BASE", "https://evil.example")
    typed = Typed(token=TOKEN)
    assert init([], typed) == 78
    assert "CHORUS_DISCORD_API_BASE" in typed.said[0]
    assert not typed.asked


def test_without_the_intent_it_proposes_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "bot_of", lambda *_: Bot("chorus", 1, reads_messages=False))
    typed = Typed(token=TOKEN, intents=["messages", "minimal"])
    assert init([], typed) == 0
    assert any("Switch on Message Content Intent" in line for line in typed.said)
    assert written()["CHORUS_DISCORD_INTENTS"] == "minimal"


def test_where_discord_does_not_answer_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> Bot:
        raise Unavailable("Discord does not answer.")

    monkeypatch.setattr(checks, "bot_of", away)
    typed = Typed(token=TOKEN)
    assert init([], typed) == 0
    assert written()["CHORUS_DISCORD_TOKEN"] == f"'{TOKEN}'"
    assert "! Discord does not answer." in typed.said


def test_other_lines_stay_and_values_are_replaced_only_by_consent() -> None:
    Path(".env").write_text("# mine\nOTHER=x y\nCHORUS_DATA=.chorus\nCHORUS_NATS_PORT=0\n")
    typed = Typed(data="elsewhere")
    typed.agrees = False
    assert init([], typed) == 0
    assert typed.said[-3] == "Replace CHORUS_DATA in .env?"
    assert Path(".env").read_text().startswith("# mine\nOTHER=x y\nCHORUS_DATA=.chorus\n")
    assert init(["--data", "elsewhere", "--yes"], Typed()) == 0
    assert written()["CHORUS_DATA"] == "elsewhere"
    assert Path(".env").read_text().startswith("# mine\nOTHER=x y\n")
    assert stat.S_IMODE(Path(".env").stat().st_mode) == 0o600


def test_the_token_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "bot.token").write_text(f"{TOKEN}\n")
    assert init(["--token-file", "bot.token", "--yes"], Typed()) == 0
    assert written()["CHORUS_DISCORD_TOKEN"] == f"'{TOKEN}'"
    assert init(["--token-file", "nowhere", "--yes"], Typed()) == 78


@contextlib.contextmanager
def taken_port() -> Generator[str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield str(held.getsockname()[1])


def test_a_taken_port_and_a_full_disk_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with taken_port() as number, pytest.raises(Misconfigured, match="taken"):
        checks.port(number)
    for wrong in ("70000", "-1", "x"):
        with pytest.raises(Misconfigured, match="no port"):
            checks.port(wrong)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(Misconfigured, match="Only 1 MB"):
        checks.folder(".chorus")


def test_a_folder_that_cannot_be_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="cannot be written"):
        checks.folder(str(tmp_path / "file" / "data"))


def test_a_base_model_that_is_none_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no config\.json"):
        checks.base_model(str(tmp_path))


async def test_discord_says_whose_token_it_is_and_what_it_may_read() -> None:
    async with running_discord() as discord:
        api = discord.settings()["discord_api_base"]
        bot = await look_up(discord.token, api)
        assert bot == Bot("chorus#0000", int(discord.bot.id), reads_messages=True)
        discord.rest.reads_content = False
        assert not (await look_up(discord.token, api)).reads_messages
        with pytest.raises(Misconfigured, match="does not know this token"):
            await look_up("wrong", api)
    with pytest.raises(Unavailable):
        await look_up(discord.token, api)


async def test_the_token_is_looked_up_at_discord_until_it_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "bot_of", ASK_DISCORD)
    async with running_discord() as discord:
        monkeypatch.setenv("CHORUS_DISCORD_API_BASE", discord.settings()["discord_api_base"])
        typed = Typed(token=["wrong", discord.token])
        assert await asyncio.to_thread(init, [], typed) == 0
    shown = "\n".join(typed.said)
    assert "does not know this token" in shown
    assert "it is chorus#0000's." in shown
    assert f"client_id={discord.bot.id}" in shown
    assert written()["CHORUS_DISCORD_TOKEN"] == f"'{discord.token}'"


def test_the_end_of_the_input_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(*_: object, **__: object) -> str:
        raise EOFError

    monkeypatch.setattr(prompt.Prompt, "ask", ended)
    assert init([], Terminal()) == 78
    assert "`--yes` takes all defaults" in capsys.readouterr().out
    assert not Path(".env").exists()


def test_asked_again_it_proposes_what_was_said_before() -> None:
    first = Typed(token=TOKEN, data="elsewhere", language="de", intents="minimal", train_on_messages="off")
    assert init([], first) == 0
    before = Path(".env").read_text()
    assert "CHORUS_DATA=elsewhere" in before
    again = Typed()
    assert init([], again) == 0
    assert again.asked == first.asked
    assert Path(".env").read_text() == before
    assert not [line for line in again.said if line.startswith("Replace")]


def test_ctrl_c_at_the_last_question_writes_nothing() -> None:
    class Leaving(Typed):
        def ask(self, question: Question, default: str) -> str:
            if question.flag == "language":
                raise KeyboardInterrupt
            return super().ask(question, default)

    assert init([], Leaving(token=TOKEN)) == 130
    assert not list(Path().iterdir())


def test_a_write_that_fails_half_way_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(before := "OTHER=1\nCHORUS_DATA=.chorus\n")

    def full(path: Path, name: str, value: str, **options: Any) -> None:
        if name == "CHORUS_DATA":
            raise OSError(errno.ENOSPC, "No space left on device")
        set_key(path, name, value, **options)

    monkeypatch.setattr(envfile, "set_key", full)
    typed = Typed()
    assert init(["--yes"], typed) == 78
    assert typed.said[-1] == "✗ .env cannot be written (No space left on device)."
    assert [path.name for path in Path().iterdir()] == [".env"]
    assert Path(".env").read_text() == before


def test_a_link_to_another_file_stays_one() -> None:
    Path("kept").write_text("OTHER=1\n")
    Path(".env").symlink_to("kept")
    assert init(["--yes"], Typed()) == 0
    assert Path(".env").is_symlink()
    assert Path("kept").read_text().startswith("OTHER=1\nCHORUS_BASE_MODEL=starter\n")


def test_the_gateway_s_process_knows_it_before_there_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORUS_LOG_LEVEL", "loud")
    assert gateway.main(["init", "--yes"]) == 0
