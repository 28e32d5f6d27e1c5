"""How an answer is shown, remembered, and kept so that people can come back to it.

An answer has buttons; each is a command line about the message that it stands in. So once it has been shown
whole, it is noted under the ids of the messages that show it, with all that was asked: in the conversation
here, and, for as many days as the guild says, in `ports.Replies`, which outlive a restart. Nothing is kept of
people who opted out, nor what a model says that learned words which were deleted since.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.feedback import ReplyRecord, Via
from chorus.common.contracts.generation import Delta, End, Waiting
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError
from chorus.gateway.commands.context import Asked, Context
from chorus.gateway.commands.keeping import refuse_opted_out, refuse_stale
from chorus.gateway.commands.ports import Question
from chorus.gateway.commands.replies import THIS, Audio, Button, Form, Stream, is_cut_off, numbered
from chorus.gateway.commands.rights import settings_of
from chorus.gateway.commands.speech import read_out

Pieces = AsyncIterator[Waiting | Delta | End]

AGAIN = Button("Regenerate", f"!regenerate reply={THIS}")
ON = Button("Continue", f"!continue reply={THIS}", when_cut_off=True)
JUDGING = (
    Button("👍", f"!feedback up reply={THIS}"),
    Button("👎", f"!feedback down reply={THIS}"),
    Button("Correct", f"!correct {THIS}", form=Form("What should it say?", "Answer", THIS)),
)

UNTRAINED = "Untrained: I know only what you teach me. !train"

log = structlog.get_logger()


@dataclass
class Told:
    """An answer as it comes, of several the first; what it goes on from stands before it."""

    said: list[str] = field(default_factory=list)
    end: End | None = None

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self.said)

    async def heard(self, pieces: Pieces) -> Pieces:
        """The same pieces, noted."""
        async for piece in pieces:
            if isinstance(piece, Delta) and piece.choice == 0:
                self.said.append(piece.text)
            elif isinstance(piece, End):
                self.end = piece
            yield piece


def answered(ctx: Context, asked: Asked, question: Question, begun: ReplyRecord | None = None) -> Stream:
    """The answer to a question; what was `begun` is noted as one with its end, as an answer to the same."""
    told = Told([begun.text] if begun else [])
    pieces = told.heard(ctx.chorus.answers.ask(ctx.guild, question))
    if asked.in_conversation:
        pieces = _remembered(ctx.session.turns, asked, told, pieces)

    shown: list[str] = []

    async def kept(message: str) -> None:
        if told.end is None:
            return
        shown.append(message)
        prompt = replace(question, messages=begun.messages) if begun else question
        try:
            await _keep(ctx, asked, prompt, told, told.end, shown)
        except ChorusError as error:  # it was shown all the same
            log.info("reply not kept", code=error.code)

    if_a_toy = UNTRAINED if _begins_untaught(ctx, asked, question) else ""
    several = question.sampling.n > 1  # which of them is meant, a button cannot say
    buttons = (AGAIN,) if several else (AGAIN, ON, *JUDGING)
    aloud = None if several or not _is_spoken(ctx) else lambda: _aloud(ctx, question, told)
    return Stream(
        pieces, numbered(question.sampling.n), buttons, kept, question.in_role, aloud=aloud, if_a_toy=if_a_toy
    )


def _begins_untaught(ctx: Context, asked: Asked, question: Question) -> bool:
    """Whether a conversation begins where nobody has chosen a model yet, so that the base answers."""
    begins = asked.in_conversation and all(turn.role != "assistant" for turn in asked.turns)
    nobody_chosen = ctx.settings is not None and ctx.settings.voice is None and question.model is None
    return begins and nobody_chosen and not question.in_role


def _is_spoken(ctx: Context) -> bool:
    """Whether answers are also spoken here."""
    return ctx.settings is not None and ctx.settings.in_channel(ctx.channel).voice_replies


async def _aloud(ctx: Context, question: Question, told: Told) -> Audio | None:
    audio = await read_out(ctx, told.text)
    return audio and replace(audio, in_role=question.in_role)


async def _remembered(memory: deque[Turn], asked: Asked, told: Told, pieces: Pieces) -> Pieces:
    """The answer as it comes; once it is whole, it is remembered."""
    async for piece in pieces:
        yield piece
    turn = Turn(role="assistant", content=told.text)
    if asked.answer is None:
        memory += [asked.turns[-1], turn]
    else:
        for at, old in enumerate(memory):
            if old is asked.answer:
                memory[at] = turn
    asked.answer = turn


async def _keep(
    ctx: Context, asked: Asked, prompt: Question, told: Told, end: End, shown: Sequence[str]
) -> None:
    """Note it here, and store it. Raises `ChorusError` where it cannot be stored, or may not be."""
    settings = await settings_of(ctx)
    origin = asked.origin
    people = set(origin.people) if origin else _speakers(asked.turns) | _givers(settings, ctx.channel)
    asked.reply = ReplyRecord(
        guild=ctx.guild,
        person=origin.person if origin else asked.turns[-1].name or ctx.user,
        people=sorted(people),
        channel=ctx.room,
        message=shown[-1],
        before=list(shown[:-1]),
        via=_via(ctx, asked),
        asked=asked.model,
        model=end.model,
        messages=prompt.messages,
        examples=prompt.examples,
        sampling=prompt.sampling,
        text=told.text,
        cut_off=is_cut_off(end),
        at=now(),
    )
    if settings.keep_replies_days:
        for person in asked.reply.people:
            await refuse_opted_out(ctx, person)
        await refuse_stale(ctx, end.model)
        await ctx.chorus.replies.keep(asked.reply)


def _via(ctx: Context, asked: Asked) -> Via:
    """By which way the words came, the strictest of all: what was typed stays so, whatever was pressed."""
    earlier = asked.origin.via if asked.origin else "message" if len(asked.turns) > 1 else ctx.trust.via
    return "message" if ctx.trust.via == "form" and earlier == "message" else ctx.trust.via


def _speakers(turns: Iterable[Turn]) -> set[str]:
    return {turn.name for turn in turns if turn.role == "user" and turn.name}


def _givers(settings: GuildSettings, channel: str | None) -> set[str]:
    """Who gave what the model was shown beside the conversation."""
    persona = settings.personas.get(channel or "", settings.persona)
    return {example.by for example in settings.examples} | ({persona.by} if persona else set())
