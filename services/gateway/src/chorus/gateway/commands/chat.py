"""Talking to the guild's voice, or to any other of its models.

Plain text and `!send_message` are a conversation, which is remembered where it takes place. `!ask` stands
apart from it. `!regenerate` asks again what was asked last, or for any answer that is kept; `!continue` has
an answer go on that was cut off; `!reset` forgets.
"""

import random
from dataclasses import replace

from pydantic import Field

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.feedback import ReplyRecord
from chorus.common.contracts.generation import Sampling
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.answering import answered
from chorus.gateway.commands.asking import (
    VARIED,
    ModelParameters,
    SamplingParameters,
    imitates,
    question,
    who,
)
from chorus.gateway.commands.context import Asked, Context
from chorus.gateway.commands.parsing import NoParameters, Parameters
from chorus.gateway.commands.ports import Question
from chorus.gateway.commands.quotas import refuse_over_quota, spend
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.commands.speech import listened
from chorus.gateway.commands.which import ReplyParameters, is_named, meant, refuse_elsewhere

SEEDS = 2**31
GO_ON = "Your answer was cut off. Go on exactly where it ends, and repeat nothing of it."


class Ask(SamplingParameters, ModelParameters):
    """What `!ask` takes."""

    question: str = Field(description="what to ask")


class Say(Parameters):
    """What `!send_message` takes."""

    text: str = Field(description="what to say")


class Regenerate(SamplingParameters, ModelParameters, ReplyParameters):
    """What `!regenerate` takes."""


class Continue(ReplyParameters):
    """What `!continue` takes."""


async def ask(ctx: Context, asked: Ask) -> Reply:
    """Ask one question, apart from the conversation."""
    turn = Turn(role="user", content=await ctx.told(asked.question), name=ctx.user)
    return await _answered(ctx, Asked([turn], asked.model, asked.sampling(), in_conversation=False))


async def say(ctx: Context, said: Say) -> Reply:
    """Say something in the conversation; what was said before is remembered."""
    if ctx.recordings:  # to hear them may take minutes
        await refuse_over_quota(ctx, "questions")
    session, all_said = ctx.session, await listened(ctx, said.text)
    turn = Turn(role="user", content=await ctx.told(all_said.words), name=ctx.user)
    asked = Asked([*session.turns, turn], session.model, Sampling(), in_conversation=True)
    return replace(await _answered(ctx, asked), heard=all_said.heard)


async def regenerate(ctx: Context, asked: Regenerate) -> Reply:
    """Have a question answered anew; in the conversation, the new answer takes the old one's place."""
    last, record = ctx.session.asked, await meant(ctx, asked.reply)
    if last is not None and (record is last.reply or not is_named(ctx, asked.reply)):
        made = await question(ctx, asked.model or last.model, last.turns, _varied(asked, last.sampling))
        return answered(ctx, last, made)
    if record is None:
        raise InvalidInput(
            "Nothing was asked here yet, so nothing can be answered anew.", code="nothing_to_regenerate"
        )
    refuse_elsewhere(ctx, record)
    model = await who(ctx, asked.model or record.asked)
    sampling = _varied(asked, record.sampling)
    in_role = await _in_role(ctx, record, model)
    made = Question(model, record.messages, record.examples, sampling, in_role)
    await spend(ctx, "questions", sampling.n)
    return answered(ctx, _apart(ctx, record), made)


async def go_on(ctx: Context, asked: Continue) -> Reply:
    """Have an answer go on that was cut off; in the conversation, both parts are one answer."""
    last, record = ctx.session.asked, await meant(ctx, asked.reply)
    if record is None:
        raise InvalidInput("Nothing was answered here yet that could go on.", code="nothing_to_continue")
    refuse_elsewhere(ctx, record)
    if not record.cut_off:
        raise InvalidInput(
            "That answer came to its end: there is nothing left of it.", code="answer_is_whole"
        )
    begun = [Turn(role="assistant", content=record.text), Turn(role="user", content=GO_ON)]
    model = record.model if "@" in record.model else None
    one = record.sampling.model_copy(update={"n": 1})
    in_role = await _in_role(ctx, record, model)
    made = Question(model, [*record.messages, *begun], record.examples, one, in_role)
    await spend(ctx, "questions")
    same = last if last is not None and record is last.reply else _apart(ctx, record)
    return answered(ctx, same, made, record)


async def reset(ctx: Context, _: NoParameters) -> Reply:
    """Forget the conversation here."""
    count = len(ctx.session.turns)
    ctx.session.forget()
    stays = "Persona and examples stay: !persona, !examples."
    if not count:
        return Text(f"There was nothing to forget: no conversation here is remembered. {stays}")
    return Text(f"Forgotten: the last {count} messages of the conversation here. {stays}")


async def _answered(ctx: Context, asked: Asked) -> Reply:
    """The answer to the last question here: what is refused does not become that."""
    made = await question(ctx, asked.model, asked.turns, asked.sampling)
    ctx.session.asked = asked
    return answered(ctx, asked, made)


def _varied(asked: Regenerate, before: Sampling) -> Sampling:
    """As before, but warmer: many models take the likeliest word otherwise, every time."""
    warmer = max(VARIED, before.temperature or 0)
    anew = {"temperature": warmer, "seed": random.randrange(SEEDS)}
    return asked.sampling(**before.model_dump(exclude_unset=True) | anew)


async def _in_role(ctx: Context, record: ReplyRecord, model: str | None) -> bool:
    """Whether what this model makes of it is labelled: under the same persona, or as whom it imitates."""
    return any(turn.role == "system" for turn in record.messages) or await imitates(ctx, model)


def _apart(ctx: Context, record: ReplyRecord) -> Asked:
    """What was asked for an answer that is kept, as the last question here; nothing else changes."""
    turns = [turn for turn in record.messages if turn.role != "system"]
    ctx.session.asked = Asked(turns, record.asked, record.sampling, in_conversation=False, origin=record)
    return ctx.session.asked
