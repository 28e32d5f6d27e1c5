"""`chorus init`: asks what has to be known, checks it while you wait, writes `.env`, prints the invite link.

chorus init                                 asks, with a default for each answer
chorus init --yes                           takes all defaults, and what `.env` has already
chorus init --token-file bot.token --base-model Qwen/Qwen2.5-0.5B-Instruct --yes
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from chorus.common.base_model import STARTER
from chorus.common.contracts.wire import MIB
from chorus.common.errors import ChorusError, Misconfigured, Unavailable
from chorus.common.service import EX_CONFIG
from chorus.common.settings import load
from chorus.gateway.frontends.cli import checks
from chorus.gateway.frontends.cli.envfile import read_env, write_env
from chorus.gateway.frontends.cli.questions import Answers, Asks, Question, Terminal
from chorus.gateway.frontends.discord.frontend import NO_MESSAGES
from chorus.gateway.frontends.discord.invite import Bot, invitation
from chorus.gateway.settings import DiscordSettings

INIT = "init"
INTERRUPTED = 130  # what shells report for Ctrl-C
ENV = Path(".env")
LONGEST_TOKEN = MIB

TOKEN = Question(
    "token", "Discord token", "", "CHORUS_DISCORD_TOKEN", secret=True,
    told="Make a bot at https://discord.com/developers/applications, and copy its token from the page Bot.\n"
    "Without a token, Chorus is in this terminal only.",
)  # fmt: skip
GUILD = Question(
    "guild", "Id of your Discord server", "", check=checks.guild,
    told="For the invite link alone; it may be left empty.",
)  # fmt: skip
VOICE = Question("voice", "Shall it speak in voice channels, too?", "no", choices=("yes", "no"))
TRAIN_ON = Question(
    "train-on-messages", "Learn from messages on Discord", "submitted", "CHORUS_TRAIN_ON_MESSAGES",
    choices=("off", "submitted", "permitted"),
    told="Who may learn from what: `off` learns from uploaded files, forms and this terminal alone. "
    '`submitted` learns also from what people hand over on purpose (`!train "…"`, `!correct`), once somebody '
    "who runs the server has confirmed a notice. `permitted` learns also from the history of channels, of "
    "people who opted in, and needs Discord's own permission: its Developer Policy (rule 21) forbids to "
    "train on message content without it.",
)  # fmt: skip
PERMISSION = Question(
    "train-permission", "Reference of Discord's permission", "", "CHORUS_TRAIN_PERMISSION",
    check=checks.permission,
)  # fmt: skip
HERE = (
    Question(
        "base-model", "Base model", STARTER, "CHORUS_BASE_MODEL", check=checks.base_model,
        told="The model that learns: `starter` is a toy that comes along; or a model of the Hugging Face "
        "hub, as Qwen/Qwen2.5-0.5B-Instruct, which is fetched now; or a folder.",
    ),
    Question("nats-port", "Port of the bus, on this machine only (0: any)", "0", "CHORUS_NATS_PORT",
        checks.port),
    Question("data", "Folder for all data", ".chorus", "CHORUS_DATA", checks.folder),
    Question("language", "Language that is spoken", "en-us", "CHORUS_SPEECH_LANGUAGE", checks.language),
)  # fmt: skip
NEXT = """
Next:
  chorus up                                 start everything here
  chorus forge examples/first-run.json      from data to a model that talks"""


def init(words: Sequence[str], asks: Asks | None = None) -> int:
    """Ask, check, write; returns the exit code. Nothing is written before all is answered."""
    asks = asks or Terminal()
    try:
        given = _given(words)
        _init(asks, given, yes=bool(given.pop("yes")))
    except KeyboardInterrupt:
        return INTERRUPTED
    except ChorusError as error:
        asks.say(f"✗ {error.message}")
        return EX_CONFIG if isinstance(error, Misconfigured) else 1
    return 0


def _given(words: Sequence[str]) -> dict[str, str | None]:
    """Flags with their values."""
    parser = argparse.ArgumentParser(f"chorus {INIT}", description="Set Chorus up in the current folder.")
    parser.add_argument("--yes", action="store_const", const="yes", help="take all defaults, ask nothing")
    parser.add_argument("--token-file", type=Path, help="file with the token: others see what a command says")
    for question in (TOKEN, GUILD, VOICE, _intents(None), TRAIN_ON, PERMISSION, *HERE):
        choices = question.choices or None
        parser.add_argument(f"--{question.flag}", choices=choices, help=question.text.replace("%", "%%"))
    given = {name.replace("_", "-"): value for name, value in vars(parser.parse_args(words)).items()}
    if (path := given.pop("token-file")) is not None:
        given["token"] = _in_file(path)
    return given


def _in_file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(LONGEST_TOKEN).strip()
    except (OSError, UnicodeDecodeError):
        raise Misconfigured(f"--token-file: {path} cannot be read.") from None


def _init(asks: Asks, given: Mapping[str, str | None], *, yes: bool) -> None:
    before = read_env(ENV)
    answers = Answers(asks, given, before, yes=yes)
    bot = _bot(asks, answers)
    link = _link(answers, bot) if bot else None
    if bot or answers.kept.get(TOKEN.setting):
        answers.to(_intents(bot))
        if answers.to(TRAIN_ON) == "permitted":
            answers.to(PERMISSION)
    for question in HERE:
        answers.to(question)
    write_env(ENV, _agreed(asks, answers.kept, before, yes=yes))
    asks.say(f"\n✓ {ENV} is written; nobody but you can read it.")
    if link:
        asks.say(f"\nInvite the bot to your server:\n  {link}")
    asks.say(NEXT)


def _bot(asks: Asks, answers: Answers) -> Bot | None:
    """The bot, as Discord knows it; None without a token, and where Discord cannot be asked."""
    found: list[Bot] = []
    api = load(DiscordSettings).discord_api_base  # what is wrong there must not look like a wrong token

    def check(token: str) -> str:
        if not token:
            return ""
        try:
            found.append(checks.bot_of(token, api))
        except Unavailable as error:
            asks.say(f"! {error.message}")
            return ""
        return f"it is {found[-1].name}'s."

    answers.to(replace(TOKEN, check=check))
    return found[-1] if found else None


def _link(answers: Answers, bot: Bot) -> str:
    guild = answers.to(GUILD)
    voice = answers.to(VOICE) == "yes"
    return invitation(bot.application, voice=voice, guild=int(guild) if guild else None)


def _intents(bot: Bot | None) -> Question:
    """What the bot may read, by what its page says."""
    return Question(
        "intents", "What the bot may read", "messages" if bot is None or bot.reads_messages else "minimal",
        "CHORUS_DISCORD_INTENTS", partial(_switched_on, bot), choices=("messages", "minimal"),
        told="`messages` is all that is said, and needs Message Content Intent, to be switched on at "
        "https://discord.com/developers, page Bot. `minimal` needs nothing: people mention the bot, write to "
        "it directly, or use slash commands and menus.",
    )  # fmt: skip


def _switched_on(bot: Bot | None, intents: str) -> str:
    if bot and intents == "messages" and not bot.reads_messages:
        raise Misconfigured(NO_MESSAGES)
    return "Message Content Intent is switched on." if bot and intents == "messages" else ""


def _agreed(asks: Asks, kept: Mapping[str, str], before: Mapping[str, str], *, yes: bool) -> dict[str, str]:
    """What is to be written; what is there already is replaced only by consent."""
    changed = [name for name, value in kept.items() if before.get(name, value) != value]
    replaced = yes or not changed or asks.confirm(f"Replace {', '.join(changed)} in {ENV}?")
    return {name: value for name, value in kept.items() if replaced or name not in changed}
