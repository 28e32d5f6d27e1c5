"""How a question is made: who answers, who they are to be, what they are shown first, and what was said."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field, field_validator

from chorus.common.contracts.consent import is_id
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.guild import Exchange, GuildSettings
from chorus.common.contracts.models import BASE, parse_model
from chorus.common.errors import InvalidInput
from chorus.common.speakers import real_names
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.ports import Question
from chorus.gateway.commands.quotas import spend
from chorus.gateway.commands.rights import settings_of

VARIED = 0.8
"""Temperature where answers are to differ: many models take the likeliest word otherwise, every time."""


class ModelParameters(Parameters):
    """For commands that ask a model: which one."""

    model: str | None = Field(
        default=None,
        description="who answers, for once: `name`, `name@3`, a checkpoint (`name@JOB-2`), or `base`",
    )


class SamplingParameters(Sampling, Parameters):
    """For commands that ask a model: all of `Sampling`, by the same names."""

    @field_validator("stop", mode="before")
    @classmethod
    def _one_text(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def sampling(self, **otherwise: object) -> Sampling:
        """The options that were given; the rest as in `otherwise`, or by default."""
        names = self.model_fields_set & set(Sampling.model_fields)
        return Sampling.model_validate({**otherwise, **{name: getattr(self, name) for name in names}})


async def question(
    ctx: Context, model: str | None, turns: Sequence[Turn], sampling: Sampling, *, times: int = 1
) -> Question:
    """The question that these turns end with, under the persona and after the examples of the place.

    `model` None is the channel's, or the guild's voice; what `sampling` does not say is as they have chosen.
    Each of its answers is counted so many `times`. Raises `InvalidInput` for what is no model's name, and
    where several answers are wanted and all would be the same; `QueueFull` over the person's quota.
    """
    settings = await settings_of(ctx)
    answers = await who(ctx, model)
    chosen = settings.sampling_in(ctx.channel) | sampling.model_dump(exclude_unset=True)
    wanted = _varied(Sampling.model_validate(chosen))
    messages = [*_system(settings, ctx.channel), *await _named(ctx, settings, turns)]
    in_role = settings.persona_in(ctx.channel) is not None or await imitates(ctx, answers)
    made = Question(answers, messages, _shown(settings.examples), wanted, in_role)
    await spend(ctx, "questions", times * wanted.n)
    return made


async def who(ctx: Context, model: str | None) -> str | None:
    """The model that is to answer; None is the base. Raises `InvalidInput` for what is no model's name."""
    model = model or (await settings_of(ctx)).in_channel(ctx.channel).model
    if model is None:
        return await ctx.chorus.models.voice(ctx.guild)
    if model == BASE:
        return None
    parse_model(model)
    return model


async def imitates(ctx: Context, model: str | None) -> bool:
    """Whether a model answers as a person would: then what it says is labelled. None is the base."""
    return model is not None and await ctx.chorus.models.imitates(ctx.guild, model)


def _system(settings: GuildSettings, channel: str | None) -> list[Turn]:
    """Who the model is to be, and in which language it is to answer, where that was chosen."""
    persona = settings.persona_in(channel)
    spoken = settings.language_in(channel)
    language = spoken and f"Answer in this language: {spoken}."
    told = "\n".join(text for text in (persona, language) if text)
    return [Turn(role="system", content=told)] if told else []


async def _named(ctx: Context, settings: GuildSettings, turns: Sequence[Turn]) -> list[Turn]:
    """People as this guild's datasets name them, by who spoke first; a person alone has no name."""
    people = list(dict.fromkeys(turn.name or "" for turn in turns if turn.role == "user"))
    names = {person: f"u{number}" for number, person in enumerate(people, 1)} if len(people) > 1 else {}
    if names and settings.names and ctx.people:
        members = {person: await ctx.people.member(person) for person in people if is_id(person)}
        names = real_names({person: members.get(person) or number for person, number in names.items()})
    return [
        turn.model_copy(update={"name": names.get(turn.name or "") if turn.role == "user" else None})
        for turn in turns
    ]


def _shown(examples: Iterable[Exchange]) -> list[Turn]:
    return [
        turn
        for example in examples
        for turn in (Turn(role="user", content=example.user), Turn(role="assistant", content=example.bot))
    ]


def _varied(sampling: Sampling) -> Sampling:
    """Several answers that differ."""
    if sampling.n == 1 or sampling.temperature:
        return sampling
    if sampling.temperature == 0:
        raise InvalidInput(
            f"With `temperature=0` all {sampling.n} answers would be the same: leave it out, or `n=`.",
            code="same_answers",
            param="n",
        )
    return sampling.model_copy(update={"temperature": VARIED})
