"""Bare `AsyncLLM.generate`, as a program of its own: with the engine arguments that the service has.

It takes the service's own settings. Which plugins vLLM loads is for its environment to say (`VLLM_PLUGINS`).
"""

import asyncio
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from vllm import SamplingParams
from vllm.inputs.engine import tokens_input
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

from chorus.common.settings import load
from chorus.inference.backends import vllm
from chorus.inference.settings import InferenceSettings
from tests.benchmarks.serving.peers import Order, serve, spoken_apart


class Reply(NamedTuple):
    """Tokens written, and seconds until the first of them."""

    tokens: int
    first: float


class Bare:
    """An engine, and the adapters it has been told of."""

    def __init__(self, engine: AsyncLLM) -> None:
        self._engine = engine
        self._known: dict[str, LoRARequest] = {}

    async def obey(self, order: Order) -> Order:
        """Write replies (`prompts`, `adapters`, `tokens`, `at_once`), or `score` them."""
        for folder in set(order["adapters"]) - self._known.keys():
            number = len(self._known) + 1
            self._known[folder] = LoRARequest(str(number), number, folder)
            await self._engine.add_lora(self._known[folder])
        return await (self._score(order) if order.get("score") else self._round(order))

    async def _round(self, order: Order) -> Order:
        """A closed loop, as the clients of the bus are one."""
        waiting = iter(zip(order["prompts"], order["adapters"], order["tokens"], strict=True))
        replies: list[Reply] = []

        async def client() -> None:
            for prompt, adapter, tokens in waiting:
                replies.append(await self._reply(prompt, self._known[adapter], tokens))

        began = time.perf_counter()
        async with asyncio.TaskGroup() as clients:
            for _ in range(order["at_once"]):
                clients.create_task(client())
        seconds = time.perf_counter() - began
        tokens = sum(reply.tokens for reply in replies)
        return {"tokens": tokens, "seconds": seconds, "firsts": [reply.first for reply in replies]}

    async def _reply(self, prompt: list[int], lora: LoRARequest, most: int) -> Reply:
        sampling = SamplingParams(temperature=0, max_tokens=most, output_kind=RequestOutputKind.DELTA)
        began, first, tokens = time.perf_counter(), 0.0, 0
        async for output in self._engine.generate(
            tokens_input(prompt), sampling, uuid.uuid4().hex, lora_request=lora
        ):
            if output.outputs[0].text:  # half a letter is none: what a client sees is text
                first = first or time.perf_counter() - began
            tokens += len(output.outputs[0].token_ids)
        return Reply(tokens, first)

    async def _score(self, order: Order) -> Order:
        """Replies to all prompts at once: of each the token ids, and the nats that vLLM gave them.

        Not of the prompts: asked for those of a prompt with an adapter, stock vLLM ends on a CPU.
        """
        wanted = zip(order["prompts"], order["adapters"], order["tokens"], strict=True)
        return {"scored": await asyncio.gather(*(self._scored(*one) for one in wanted))}

    async def _scored(self, prompt: list[int], adapter: str, most: int) -> list[tuple[int, float]]:
        sampling = SamplingParams(
            temperature=0, max_tokens=most, logprobs=0, output_kind=RequestOutputKind.FINAL_ONLY
        )
        async for output in self._engine.generate(
            tokens_input(prompt), sampling, uuid.uuid4().hex, lora_request=self._known[adapter]
        ):
            (reply,) = output.outputs
            assert reply.logprobs is not None
            told = zip(reply.token_ids, reply.logprobs, strict=True)
            return [(token, of_token[token].logprob) for token, of_token in told]
        raise RuntimeError("vLLM wrote nothing")


def main() -> None:
    """Start the engine, then obey."""
    answers = spoken_apart()
    settings = load(InferenceSettings)

    async def run() -> None:
        engine = vllm.start(Path(settings.base_model), settings)
        try:
            await serve(Bare(engine._engine).obey, answers)
        finally:
            engine.close()

    asyncio.run(run())


if __name__ == "__main__":  # vLLM starts processes that import this file again
    main()
