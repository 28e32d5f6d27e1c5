"""Whether inference answers as the trained model did: asked between a version's news and its promotion.

The trainer and vLLM are two programs that compute the same model, with other kernels and in other number
formats. A wrong template, a scale that is lost, a damaged file: none of it is an error, and all of it makes
other answers. So the manifest's probes are asked of the version as it is served, greedily, and compared
with what the trainer's model wrote, up to the first word where that one nearly chose another: from there
on, rounding decides.
"""

import asyncio
import hashlib
from contextlib import aclosing

import structlog
from pydantic import TypeAdapter

from chorus.common.bus.calls import ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.contracts.generation import (
    CANCEL,
    GENERATE,
    Delta,
    End,
    Generate,
    GenerateReply,
    Sampling,
    Waiting,
    of_base,
)
from chorus.common.contracts.models import Manifest, Parity, Probe
from chorus.common.errors import ChorusError, InternalError, InvalidInput, Unavailable

GREEDY = Sampling(temperature=0, max_tokens=128)  # more than the trainer wrote for any probe
ENGINE_STARTS = 300.0  # seconds more for a whole model: inference fetches it and starts an engine for it

NOT_HERE = {
    "no_responders": "no inference serves its base model",
    "wrong_base": "inference serves another base model",
    "whole_model": "inference serves no whole models",
}
"""Why it cannot be asked, by the error's code; nothing is wrong with the model."""

REPLY: TypeAdapter[Waiting | Delta | End] = TypeAdapter(GenerateReply)

log = structlog.get_logger()


async def check(
    connection: Connection, manifest: Manifest, version: int, *, remembers: int | None, within: float
) -> Parity:
    """Ask the probes of a version that was announced, for `within` seconds at most. Raises nothing.

    An adapter is asked of whoever serves its base, a whole model of the default inference, which has longer.
    `remembers` is how many earlier messages of a chat its base makes use of (`base_model.Facts`): inference
    leaves older ones out, so that longer probes prove nothing. What cannot be asked is `unchecked`; what
    inference refuses to serve, or answers in other words, `differs`.
    """
    within += ENGINE_STARTS if manifest.form == "whole" else 0.0
    probes = [probe for probe in manifest.probes if _proves(probe, remembers)]
    if not probes:
        return Parity(verdict="unchecked", reason="no answer of it is sure enough to be compared")
    try:
        async with asyncio.timeout(within):
            different = [probe for probe in probes if not await _same(connection, manifest, version, probe)]
    except TimeoutError:
        return Parity(verdict="unchecked", reason=f"inference has not answered within {within:.0f} s")
    except ChorusError as error:
        if error.code in NOT_HERE:
            return Parity(verdict="unchecked", reason=NOT_HERE[error.code])
        if isinstance(error, (InvalidInput, InternalError)):
            return Parity(verdict="differs", reason=f"inference does not serve it: {_short(error)}")
        return Parity(verdict="unchecked", reason=f"inference could not be asked: {_short(error)}")
    asked = f"{len(probes)} fixed question{'s' if len(probes) > 1 else ''}"
    if different:
        log.warning("parity failed", model=manifest.name, version=version, different=len(different))
        reason = f"it answers {len(different)} of {asked} otherwise than in training"
        return Parity(verdict="differs", reason=reason)
    return Parity(verdict="same", reason=f"it answers {asked} as in training")


def _short(error: ChorusError) -> str:
    """Its words, to stand within a sentence."""
    return error.message.removesuffix(".")


def _proves(probe: Probe, remembers: int | None) -> bool:
    """Whether inference reads all of it, and any of the reply was sure."""
    return (remembers is None or len(probe.messages) - 1 <= remembers) and (
        probe.reply_sha256 is not None or probe.whole
    )


async def _same(connection: Connection, manifest: Manifest, version: int, probe: Probe) -> bool:
    question = Generate(
        guild=manifest.guild,
        model=f"{manifest.name}@{version}",
        messages=probe.messages,
        sampling=GREEDY,
    )
    said, ended = "", False
    subject = of_base(GENERATE, manifest.base.name if manifest.form == "adapter" else None)
    replies = ask_stream(connection, subject, question, REPLY, cancel=CANCEL)
    async with aclosing(replies):
        pieces = 0
        async for piece in replies:
            if isinstance(piece, Delta):
                if piece.i != pieces:
                    raise Unavailable("a piece of the answer was lost")
                pieces, said = pieces + 1, said + piece.text
            elif isinstance(piece, End):
                ended = piece.finish_reason == "stop"
    # Some tokenizers write the blank before a first word only where they know what came before it.
    return any(_is_reply(text, probe, ended=ended) for text in (said, said.removeprefix(" ")))


def _is_reply(text: str, probe: Probe, *, ended: bool) -> bool:
    sure = text[: probe.reply_chars]
    if probe.reply_sha256 and hashlib.sha256(sure.encode()).hexdigest() != probe.reply_sha256:
        return False
    return (text == sure and ended) if probe.whole else len(sure) == probe.reply_chars
