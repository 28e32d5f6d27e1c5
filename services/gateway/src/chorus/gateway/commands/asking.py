"""How a question is made: who answers, who they are to be, what they are shown first, and what was said."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field, field_validator

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.guild import Exchange
from chorus.common.contracts.models import BASE, parse_model
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.ports import Question

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


async def question(ctx: Context, model: str | None, turns: Sequence[Turn], sampling: Sampling) -> Question:
    """The question that these turns end with, under the persona and after the examples of the place.

    `model` None is the guild's voice. Raises `InvalidInput` for what is no model's name, and where several
    answers are wanted and all would be the same.
    """
    answers = await _who(ctx, model)
    settings = await ctx.chorus.guilds.settings(ctx.guild)
    persona = settings.persona_in(ctx.channel)
    system = [Turn(role="system", content=persona)] if persona else []
    return Question(
        answers, [*system, *_named_as_taught(turns)], _shown(settings.examples), _varied(sampling)
    )


async def _who(ctx: Context, model: str | None) -> str | None:
    """The model that is to answer; None is the base."""
    if model is None:
        return await ctx.chorus.models.voice(ctx.guild)
    if model == BASE:
        return None
    parse_model(model)
    return model


def _named_as_taught(turns: Sequence[Turn]) -> list[Turn]:
    """People as datasets name them: u1, u2, … by who spoke first; a person alone has no name."""
    people = dict.fromkeys(turn.name for turn in turns if turn.role == "user")
    names = {person: f"u{number}" for number, person in enumerate(people, 1)} if len(people) > 1 else {}
    return [
        turn.model_copy(update={"name": names.get(turn.name) if turn.role == "user" else None})
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
