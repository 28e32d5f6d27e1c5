"""What is passed on to vLLM, and what becomes of its answers and errors; vLLM itself is a fake here.

The real one is asked in `tests/integration/test_inference.py` and beside it.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.generation import Sampling
from chorus.common.errors import InternalError, InvalidInput, Misconfigured, Unavailable
from chorus.inference.generation.ports import Adapter, Piece, Work
from chorus.inference.settings import InferenceSettings

ADAPTER = Adapter("guild/voice@1", "a" * 64, Path("/cache/adapters/a"))
OTHER = Adapter("guild/voice@2", "b" * 64, Path("/cache/adapters/b"))
PROMPT = [5, 6, 7, 8, 9, 10]
WINDOW = 16


class FakeVllm:
    """The part of `AsyncLLM` that is used."""

    def __init__(self, *outputs: Any) -> None:
        self.model_config = SimpleNamespace(max_model_len=WINDOW)
        self.errored = False
        self.outputs = outputs
        self.added: list[tuple[int, str]] = []
        self.removed: list[int] = []
        self.asked: list[tuple[Any, Any, Any]] = []
        self.left = False
        self.silent = False

    async def get_supported_tasks(self) -> tuple[str, ...]:
        return ("generate",)

    async def add_lora(self, request: Any) -> bool:
        while self.silent:
            await asyncio.sleep(0.01)
        if request.lora_path.endswith("bad"):
            raise Exception("Call to add_lora method failed")
        self.added.append((request.lora_int_id, request.lora_path))
        return True

    async def remove_lora(self, number: int) -> bool:
        self.removed.append(number)
        return True

    async def generate(
        self, prompt: Any, sampling: Any, request_id: str, lora_request: Any
    ) -> AsyncGenerator[Any, None]:
        self.asked.append((prompt, sampling, lora_request))
        try:
            for output in self.outputs:
                if isinstance(output, Exception):
                    raise output
                yield output
        finally:
            self.left = True


def answers(*parts: tuple[int, str, str | None]) -> Any:
    """One output of vLLM: (choice, text, why it ended)."""
    return SimpleNamespace(
        outputs=[
            SimpleNamespace(index=index, text=text, token_ids=[1], finish_reason=reason)
            for index, text, reason in parts
        ]
    )


def engine_over(fake: FakeVllm, folder: Path) -> Any:
    from chorus.inference.backends.vllm import VllmEngine

    return VllmEngine(fake, folder, capacity=2, max_rank=16)  # pyright: ignore[reportArgumentType]


def work(adapter: Adapter | None = None, prompt: list[int] = PROMPT, **sampling: Any) -> Work:
    return Work("r1", prompt, [], Sampling(**sampling), adapter, "1")


async def pieces(engine: Any, asked: Work) -> list[Piece]:
    return [piece async for piece in engine.generate(asked)]


async def test_an_adapter_that_was_not_loaded_never_reaches_vllm(tmp_path: Path) -> None:
    fake = FakeVllm(answers((0, "hi", "stop")))
    engine = engine_over(fake, tmp_path)
    for call in (pieces(engine, work(ADAPTER)), engine.score(PROMPT, 1, ADAPTER)):
        with pytest.raises(InternalError) as error:
            await call
        assert error.value.code == "adapter_not_loaded"
    await engine.load(ADAPTER)
    await engine.unload(ADAPTER)
    with pytest.raises(InternalError):
        await pieces(engine, work(ADAPTER))
    assert fake.asked == []


async def test_each_time_an_adapter_is_loaded_it_has_a_number_of_its_own(tmp_path: Path) -> None:
    fake = FakeVllm(answers((0, "hi", "stop")))
    engine = engine_over(fake, tmp_path)
    for adapter in (ADAPTER, ADAPTER, OTHER):
        await engine.load(adapter)
    await engine.unload(ADAPTER)
    await engine.load(ADAPTER)
    assert fake.added == [(1, str(ADAPTER.folder)), (2, str(OTHER.folder)), (3, str(ADAPTER.folder))]
    assert fake.removed == [1]
    await pieces(engine, work(ADAPTER))
    assert fake.asked[0][2].lora_int_id == 3


async def test_however_many_ask_for_an_adapter_it_is_read_once_and_to_the_end(tmp_path: Path) -> None:
    fake = FakeVllm(answers((0, "hi", "stop")))
    fake.silent = True
    engine = engine_over(fake, tmp_path)
    first, *others = [asyncio.create_task(engine.load(ADAPTER)) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    fake.silent = False
    await asyncio.gather(*others)
    assert first.cancelled()
    assert fake.added == [(1, str(ADAPTER.folder))]


async def test_an_adapter_that_everybody_has_left_while_it_was_read_can_be_forgotten(tmp_path: Path) -> None:
    fake = FakeVllm()
    fake.silent = True
    engine = engine_over(fake, tmp_path)
    loading = asyncio.create_task(engine.load(ADAPTER))
    await asyncio.sleep(0)
    loading.cancel()
    forgetting = asyncio.create_task(engine.unload(ADAPTER))
    await asyncio.sleep(0)
    fake.silent = False
    await forgetting
    assert (fake.added, fake.removed) == ([(1, str(ADAPTER.folder))], [1])


async def test_an_adapter_that_vllm_does_not_take_is_refused_and_stays_unloaded(tmp_path: Path) -> None:
    engine = engine_over(FakeVllm(), tmp_path)
    bad = Adapter("guild/bad@1", "c" * 64, Path("/cache/adapters/bad"))
    with pytest.raises(InvalidInput) as error:
        await engine.load(bad)
    assert error.value.code == "unsupported_adapter"
    with pytest.raises(InternalError):
        await pieces(engine, work(bad))


async def test_loading_ends_when_the_engine_dies_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chorus.inference.backends import vllm

    monkeypatch.setattr(vllm, "LOOK_EVERY", 0.01)
    fake = FakeVllm()
    fake.silent = True
    loading = asyncio.create_task(engine_over(fake, tmp_path).load(ADAPTER))
    assert not (await asyncio.wait({loading}, timeout=0.05))[0]
    fake.errored = True
    with pytest.raises(Unavailable) as error:
        await asyncio.wait_for(loading, 5)
    assert (error.value.code, error.value.retry_after) == ("engine_died", 15)


async def test_each_piece_says_which_answer_it_belongs_to(tmp_path: Path) -> None:
    fake = FakeVllm(
        answers((0, "a", None), (1, "x", None)), answers((1, "y", "length")), answers((0, "b", "stop"))
    )
    assert await pieces(engine_over(fake, tmp_path), work(n=2, temperature=1.0)) == [
        Piece("a", 1),
        Piece("x", 1, choice=1),
        Piece("y", 1, "length", choice=1),
        Piece("b", 1, "stop"),
    ]


async def test_what_vllm_broke_off_is_no_answer(tmp_path: Path) -> None:
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    for output, code in (
        (answers((0, "half", "abort")), "generation_failed"),
        (EngineGenerateError(), "generation_failed"),
        (EngineDeadError(), "engine_died"),
    ):
        with pytest.raises((InternalError, Unavailable)) as error:
            await pieces(engine_over(FakeVllm(output), tmp_path), work())
        assert error.value.code == code


async def test_who_leaves_is_gone_from_the_engine_at_once(tmp_path: Path) -> None:
    fake = FakeVllm(answers((0, "a", None)), answers((0, "b", "stop")))
    writing = engine_over(fake, tmp_path).generate(work())
    await anext(writing)
    assert not fake.left
    await writing.aclose()
    assert fake.left


async def test_sampling_is_as_asked_and_else_as_the_makers_advise(tmp_path: Path) -> None:
    advice = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1}
    (tmp_path / "generation_config.json").write_text(json.dumps(advice))
    fake = FakeVllm(answers((0, "a", "stop")))
    await pieces(
        engine_over(fake, tmp_path),
        work(temperature=0.2, min_p=0.1, presence_penalty=0.5, seed=7, n=3, stop=["\n"], max_tokens=100),
    )
    sampling = fake.asked[0][1]
    assert (sampling.temperature, sampling.top_p, sampling.repetition_penalty) == (0.2, 0.9, 1.1)
    assert (sampling.min_p, sampling.presence_penalty, sampling.seed) == (0.1, 0.5, 7)
    assert (sampling.n, sampling.stop) == (3, ["\n"])
    assert sampling.max_tokens == WINDOW - len(PROMPT), "the window holds no more"


async def test_several_answers_that_would_be_the_same_are_refused(tmp_path: Path) -> None:
    fake = FakeVllm(answers((0, "a", "stop")))
    with pytest.raises(InvalidInput) as error:
        await pieces(engine_over(fake, tmp_path), work(n=2))
    assert error.value.code == "same_answers"
    assert fake.asked == []


async def test_several_answers_may_be_had_where_the_makers_name_no_temperature(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"do_sample": true}')
    assert await pieces(engine_over(FakeVllm(answers((1, "a", "stop"))), tmp_path), work(n=2))


async def test_what_is_computed_for_one_guild_is_not_found_by_another(tmp_path: Path) -> None:
    fake = FakeVllm(answers((0, "a", "stop")))
    engine = engine_over(fake, tmp_path)
    for guild in ("1", "2"):
        await pieces(engine, replace(work(), guild=guild))
    assert [prompt["cache_salt"] for prompt, _, _ in fake.asked] == ["1", "2"]


def test_processes_of_the_engine_inherit_nothing() -> None:
    from vllm import envs

    import_module("chorus.inference.backends.vllm")
    assert envs.VLLM_WORKER_MULTIPROC_METHOD == "spawn"


@pytest.mark.parametrize(("compiles", "disabled"), [(False, "1"), (True, "0")])
def test_on_a_cpu_nothing_is_compiled_unless_it_is_wished(
    monkeypatch: pytest.MonkeyPatch, compiles: bool, disabled: str
) -> None:
    """What vLLM compiles in any case would make the first score wait for 30 seconds."""
    from chorus.inference.backends import vllm

    def started(*_: object, **__: object) -> None:
        raise ValueError("not here")

    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "0")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("chorus.inference.backends.vllm.AsyncLLM.from_engine_args", started)
    with pytest.raises(Misconfigured):
        vllm.start(STARTER_FOLDER, InferenceSettings(compile=compiles))
    assert os.environ["TORCHDYNAMO_DISABLE"] == disabled


async def test_without_advice_the_likeliest_token_is_taken(tmp_path: Path) -> None:
    fake = FakeVllm(answers((0, "a", "stop")))
    await pieces(engine_over(fake, tmp_path), work())
    assert fake.asked[0][1].temperature == 0


async def test_prompts_that_the_engine_would_die_of_are_refused(tmp_path: Path) -> None:
    fake = FakeVllm(answers((0, "a", "stop")))
    engine = engine_over(fake, tmp_path)
    for prompt, code in (([1, 2, 3, 4], "prompt_too_short"), ([5] * WINDOW, "prompt_too_long")):
        with pytest.raises(InvalidInput) as error:
            await pieces(engine, work(prompt=prompt))
        assert error.value.code == code
    assert fake.asked == []


async def test_scores_are_those_of_the_tokens_from_the_start_on(tmp_path: Path) -> None:
    found = [None, *({token: SimpleNamespace(logprob=-float(token))} for token in PROMPT[1:])]
    fake = FakeVllm(SimpleNamespace(prompt_logprobs=found))
    assert await engine_over(fake, tmp_path).score(PROMPT, 4, None) == [-9.0, -10.0]
    sampling = fake.asked[0][1]
    assert (sampling.prompt_logprobs, sampling.max_tokens) == (0, 1)


async def test_an_engine_that_gives_no_scores_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InternalError) as error:
        await engine_over(FakeVllm(SimpleNamespace(prompt_logprobs=None)), tmp_path).score(PROMPT, 4, None)
    assert error.value.code == "generation_failed"


def test_two_engines_share_names_of_metrics_and_differ_by_model() -> None:
    from chorus.inference.backends.vllm_metrics import REGISTRY, EngineMetrics

    class OfATest(EngineMetrics):
        """One counter only."""

        def __init__(self, model: str) -> None:
            counter = self._counter_cls(
                name="vllm:test", documentation="Of a test.", labelnames=["model_name", "engine"]
            )
            counter.labels(model, "0").inc()

    for model in ("base", "whole", "base"):  # the third takes the place of the first, which died
        OfATest(model)
    served = CollectorRegistry()
    served.register(REGISTRY)
    shown = generate_latest(served).decode()
    assert 'vllm:test_total{engine="0",model_name="base"} 2.0' in shown
    assert 'vllm:test_total{engine="0",model_name="whole"} 1.0' in shown
    assert shown.count("# TYPE vllm:test_total") == 1
