"""What inference answers on the bus: a conversation in, a stream of text out."""

import asyncio
import uuid
from contextlib import aclosing

import structlog

from chorus.common.bus.replies import ReplyStream
from chorus.common.contracts.generation import Delta, End, Generate, Usage
from chorus.inference.generation.catalogue import Catalogue
from chorus.inference.generation.checks import Served
from chorus.inference.generation.ports import Engine, Work
from chorus.inference.generation.prompt import compose
from chorus.inference.generation.shelf import Shelf
from chorus.inference.metrics import InferenceMetrics

log = structlog.get_logger()


class GenerationHandlers:
    """`infer.v1.*`."""

    def __init__(
        self,
        engine: Engine,
        served: Served,
        catalogue: Catalogue,
        shelf: Shelf,
        metrics: InferenceMetrics,
        *,
        remembers: int | None,
    ) -> None:
        self._engine = engine
        self._served = served
        self._catalogue = catalogue
        self._shelf = shelf
        self._metrics = metrics
        self._remembers = remembers

    async def generate(self, asked: Generate, replies: ReplyStream) -> None:
        """Find the voice, make it ready, and pass on what it writes."""
        name, adapter = self._served.base.name, None
        if found := await self._catalogue.find(asked.guild, asked.model):
            name, version = found
            adapter = await self._shelf.ready(asked.guild, name, version)
        prompt = await asyncio.to_thread(
            compose,
            self._served.tokenizer,
            asked.messages,
            window=self._engine.window,
            reserve=asked.sampling.max_tokens,
            remembers=self._remembers,
        )
        work = Work(uuid.uuid4().hex, prompt.tokens, asked.messages, asked.sampling, adapter)
        sent = written = 0
        finish_reason = None
        watch = self._metrics.watch()
        async with aclosing(self._engine.generate(work)) as pieces:  # a reader who leaves stops it
            async for piece in pieces:
                watch.wrote(piece.tokens)
                written += piece.tokens
                finish_reason = piece.finish_reason or finish_reason
                if piece.text:
                    await replies.send(Delta(i=sent, text=piece.text))
                    sent += 1
        usage = Usage(prompt_tokens=len(prompt.tokens), completion_tokens=written)
        await replies.send(
            End(
                model=name,
                finish_reason=finish_reason or "stop",
                usage=usage,
                dropped_messages=prompt.dropped,
            )
        )
