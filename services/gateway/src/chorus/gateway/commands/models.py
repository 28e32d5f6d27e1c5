"""`!models`, `!use` and `!rollback`: which voices there are, and which of them speaks."""

from pydantic import Field

from chorus.common.contracts.generation import Served, ServedModel
from chorus.common.contracts.models import BASE, ModelRecord, ModelVersion, parse_model
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import NoParameters, Parameters
from chorus.gateway.commands.phrases import counted, minute
from chorus.gateway.commands.replies import Card, Reply, Text

COLUMNS = ("", "model", "also", "trained on", "made", "at hand", "note")
STATES = {"loading": "loading", "resident": "in memory", "on_disk": "on disk"}


class Use(Parameters):
    """What `!use` takes."""

    model: str = Field(description="`name`, `name@3`, `name@previous`, or `base`")
    force: bool = Field(default=False, description="also a version that answers otherwise than it was taught")


class Rollback(Parameters):
    """What `!rollback` takes."""

    model: str | None = Field(default=None, description="the model's name; without it, the one that answers")


async def models(ctx: Context, _: NoParameters) -> Reply:
    """List the guild's models, newest version first, and what inference has at hand of them."""
    records = await ctx.chorus.models.all(ctx.guild)
    voice = await ctx.chorus.models.voice(ctx.guild)
    try:
        served, footer = await ctx.chorus.answers.served(ctx.guild), ""
    except ChorusError as error:
        served, footer = None, f" What is at hand cannot be told: {error.message}"
    at_hand = {one.model: _at_hand(one) for one in served.models} if served else {}
    rows = [row for record in records for row in _rows(record, voice, at_hand)]
    rows.append(("→" if voice is None else "", BASE, "", "", "", _engine(served) if served else "", ""))
    return Card("Models", COLUMNS, rows, f"→ answers. Choose another with !use.{footer}")


async def use(ctx: Context, asked: Use) -> Reply:
    """Have a model answer from now on."""
    more = ""
    if asked.model == BASE:
        await ctx.chorus.models.use_base(ctx.guild)
        chosen = "The base model"
    else:
        name, selector = parse_model(asked.model)
        chosen = await ctx.chorus.models.use(ctx.guild, name, selector, force=asked.force)
        if (await ctx.chorus.models.find(ctx.guild, chosen)).form == "whole":
            more = " It is a whole model: its first answer takes about 20 s, for its engine has to start."
    ctx.session.model = None  # a conversation with another model is with this one now
    return Text(f"{chosen} answers now.{more}", settles=True)


async def rollback(ctx: Context, asked: Rollback) -> Reply:
    """Give the model's place back to the version that had it before."""
    voice = await ctx.chorus.models.voice(ctx.guild)
    name = asked.model or voice
    if name is None or name == BASE:
        raise InvalidInput(
            "The base model answers, and has no versions. To roll back another model, name it: "
            "`!rollback NAME`.",
            code="nothing_to_roll_back",
            param="model",
        )
    name, _ = parse_model(name)
    before, after = await ctx.chorus.models.rollback(ctx.guild, name)
    if name != voice:
        return Text(
            f"{name} means {after} now, before {before}. {voice or 'The base model'} goes on answering."
        )
    ctx.session.model = None
    return Text(f"{after} answers now, in place of {before}. To undo that: !rollback again.")


def _rows(record: ModelRecord, voice: str | None, at_hand: dict[str, str]) -> list[tuple[str, ...]]:
    """A row for each version and each checkpoint."""
    rows: list[tuple[str, ...]] = []
    for version in reversed(record.versions):
        aliases = ", ".join(name for name, at in record.aliases.items() if at == version.version)
        speaks = voice == record.name and record.aliases.get("prod") == version.version
        rows.append(_row(record, version, at_hand, _note(version), "→" if speaks else "", aliases))
    note = "checkpoint: !ask model= talks to it"
    return rows + [_row(record, checkpoint, at_hand, note) for checkpoint in reversed(record.checkpoints)]


def _row(
    record: ModelRecord,
    version: ModelVersion,
    at_hand: dict[str, str],
    note: str,
    arrow: str = "",
    aliases: str = "",
) -> tuple[str, ...]:
    name = f"{record.name}@{version.tag}"
    return (arrow, name, aliases, version.dataset, minute(version.created_at), at_hand.get(name, ""), note)


def _at_hand(served: ServedModel) -> str:
    """Where inference has a model, and how often it was asked."""
    hits = f", asked {counted(served.hits, 'time')}" if served.hits else ""
    return f"{STATES[served.state]}{hits}"


def _engine(served: Served) -> str:
    """How the engine is that the base and its adapters share."""
    if served.state == "asleep" and served.until:
        return f"asleep until {served.until:%H:%M} UTC: a training has the GPU"
    return served.state


def _note(version: ModelVersion) -> str:
    """What is to be known of a version beside what it learned from."""
    if version.stale is None:
        return _parity_note(version)
    if version.is_blocked(now()):
        return "blocked: it learned words that were deleted since"
    return f"stale: stops answering on {minute(version.stale.blocked_at)}; train it anew"


def _parity_note(version: ModelVersion) -> str:
    if version.parity is not None and version.parity.verdict == "differs":
        return f"held back: {version.parity.reason}"
    return "whole model" if version.form == "whole" else ""
