"""`!models` and `!use`: which voices there are, and which of them speaks."""

from pydantic import Field

from chorus.common.contracts.models import BASE, ModelVersion, parse_model
from chorus.common.contracts.wire import now
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.jobs import NoParameters
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.replies import Card, Reply, Text


class Use(Parameters):
    """What `!use` takes."""

    model: str = Field(description="`name`, `name@3`, `name@previous`, or `base`")
    force: bool = Field(default=False, description="also a version that answers otherwise than it was taught")


async def models(ctx: Context, _: NoParameters) -> Reply:
    """List the guild's models, newest version first."""
    records = await ctx.chorus.models.all(ctx.guild)
    voice = await ctx.chorus.models.voice(ctx.guild)
    rows = []
    for record in records:
        for version in reversed(record.versions):
            aliases = ", ".join(name for name, at in record.aliases.items() if at == version.version)
            speaks = voice == record.name and record.aliases.get("prod") == version.version
            made = f"{version.created_at:%Y-%m-%d %H:%M} UTC"
            name = f"{record.name}@{version.version}"
            rows.append(("→" if speaks else "", name, aliases, version.dataset, made, _note(version)))
        for checkpoint in reversed(record.checkpoints):
            made = f"{checkpoint.created_at:%Y-%m-%d %H:%M} UTC"
            name = f"{record.name}@{checkpoint.tag}"
            rows.append(("", name, "", checkpoint.dataset, made, "checkpoint: !ask model= talks to it"))
    rows.append(("→" if voice is None else "", BASE, "", "", "", ""))
    footer = "→ answers. Choose another with !use."
    return Card("Models", ("", "model", "also", "trained on", "made", "note"), rows, footer)


async def use(ctx: Context, asked: Use) -> Reply:
    """Have a model answer from now on."""
    if asked.model == BASE:
        await ctx.chorus.models.use_base(ctx.guild)
        return Text("The base model answers now.")
    name, selector = parse_model(asked.model)
    chosen = await ctx.chorus.models.use(ctx.guild, name, selector, force=asked.force)
    return Text(f"{chosen} answers now.")


def _note(version: ModelVersion) -> str:
    """What is to be known of a version beside what it learned from."""
    if version.stale is None:
        return _parity_note(version)
    if version.is_blocked(now()):
        return "blocked: it learned words that were deleted since"
    return f"stale: stops answering on {version.stale.blocked_at:%Y-%m-%d %H:%M} UTC; train it anew"


def _parity_note(version: ModelVersion) -> str:
    if version.parity is not None and version.parity.verdict == "differs":
        return f"held back: {version.parity.reason}"
    return "whole model" if version.form == "whole" else ""
