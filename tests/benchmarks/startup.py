"""Starting all of Chorus with the starter model, beside vLLM alone: seconds until ready, memory when idle."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chorus.common.base_model import STARTER_FOLDER
from tests.benchmarks.figures import Report
from tests.support.chorus import RunningChorus, session_pids, started

GIB = 1024**3

BARE_VLLM = """
import asyncio, json, os, sys, time
began = time.perf_counter()
import torch
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.v1.engine.async_llm import AsyncLLM
async def main():
    can = torch.cpu.get_capabilities()
    dtype = "bfloat16" if can.get("amx_bf16") or can.get("avx512_bf16") else "float32"
    arguments = AsyncEngineArgs(model=sys.argv[1], dtype=dtype, enforce_eager=True, enable_lora=True,
                                max_loras=4, max_cpu_loras=32, max_lora_rank=32, max_model_len=2048,
                                gpu_memory_utilization=0.3, kv_cache_memory_bytes=2**29)
    engine = AsyncLLM.from_engine_args(arguments)
    async for _ in engine.generate({"prompt_token_ids": [1] * 8}, SamplingParams(max_tokens=1), "first"):
        pass
    print(json.dumps(time.perf_counter() - began), flush=True)
    sys.stdin.read()
    engine.shutdown()
if __name__ == "__main__":
    asyncio.run(main())
"""


async def measure() -> Report:
    """A first start (new keys, streams, buckets), a second one on the same data, then vLLM alone."""
    report = Report("startup")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, memory, stop = whole_stack(folder)
        again, _, _ = whole_stack(folder)
        vllm, vllm_memory, vllm_stop = bare_vllm(folder)
    beside = f"vLLM alone {vllm:.1f} s"
    report.add("first_ready_s", first, f"{first:.1f} s", beside)
    report.add("second_ready_s", again, f"{again:.1f} s (at most 40)", beside)
    report.add("ready_ratio", again / vllm, f"{again / vllm:.2f} ×", beside)
    report.add(
        "idle_gib",
        memory / GIB,
        f"{memory / GIB:.2f} GiB (at most 4)",
        f"vLLM alone {vllm_memory / GIB:.2f} GiB",
    )
    report.add("stop_s", stop, f"{stop:.1f} s", f"vLLM alone {vllm_stop:.1f} s")
    return report


def whole_stack(folder: Path) -> tuple[float, int, float]:
    """Seconds to the prompt, bytes when idle, seconds to stop."""
    began = time.perf_counter()
    with started(folder) as running:
        running.until_ready()
        ready = time.perf_counter() - began
        running.say("Hello?")  # so that lazily loaded parts are in memory
        memory = resident(running)
        began = time.perf_counter()
        running.end()
        return ready, memory, time.perf_counter() - began


def resident(running: RunningChorus) -> int:
    """Bytes of all its processes; pages that several share are counted once (PSS)."""
    return sum(proportional(pid) for pid in session_pids(running.process.pid))


def proportional(pid: int) -> int:
    """A process's proportional set size, bytes (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def bare_vllm(folder: Path) -> tuple[float, int, float]:
    """Seconds to its first token, bytes, seconds to end; with the same model, format and LoRA slots."""
    script = folder / "bare.py"
    script.write_text(BARE_VLLM)
    process = subprocess.Popen(
        [sys.executable, str(script), str(STARTER_FOLDER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    ready = next(json.loads(line) for line in process.stdout if line[:1].isdigit())
    memory = sum(proportional(pid) for pid in session_pids(process.pid))
    began = time.perf_counter()
    process.communicate()
    return ready, memory, time.perf_counter() - began
