"""The plugin: who asks without an adapter gets none, and ours is chosen only where vLLM is as we know it."""

import logging
import time
from typing import Any

import pytest
import torch

from chorus.inference.backends import vllm_plugin
from chorus.inference.backends.vllm_plugin import OURS, REST, register, unexpected


@pytest.fixture
def punica(monkeypatch: pytest.MonkeyPatch) -> Any:
    """vLLM's modules as they are before the plugin; put back as they were after the test."""
    from vllm.distributed.device_communicators import shm_broadcast
    from vllm.lora.ops import torch_ops
    from vllm.lora.ops.torch_ops import lora_ops
    from vllm.lora.punica_wrapper import punica_cpu
    from vllm.platforms.cpu import CpuPlatform

    for module in (lora_ops, torch_ops, punica_cpu):
        monkeypatch.setattr(module, "bgmv_shrink", module.bgmv_shrink)
    monkeypatch.setattr(shm_broadcast, "sched_yield", getattr(shm_broadcast, "sched_yield"))  # noqa: B009 - vLLM exports it to nobody
    monkeypatch.setattr(CpuPlatform, "get_punica_wrapper", CpuPlatform.__dict__["get_punica_wrapper"])
    return punica_cpu


def test_rows_without_an_adapter_get_nothing_from_the_last_slot(punica: Any) -> None:
    register()
    weights, x = torch.ones(2, 1, 4, 3), torch.ones(3, 3)
    shrunk = torch.full((3, 4), 9.0)
    punica.bgmv_shrink(x, weights, shrunk, torch.tensor([0, -1, 1]), 1.0)
    assert shrunk.tolist() == [[3.0] * 4, [0.0] * 4, [3.0] * 4]


def test_processes_that_wait_for_each_other_rest(punica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.distributed.device_communicators import shm_broadcast

    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    register()
    waiting = shm_broadcast.SpinCondition.__new__(shm_broadcast.SpinCondition)
    waiting.is_reader, waiting.last_read, waiting.busy_loop_s = True, time.monotonic(), 1
    waiting.wait()
    assert rests == [REST]


def test_registering_twice_mends_once(punica: Any) -> None:
    register()
    mended = punica.bgmv_shrink
    register()
    assert punica.bgmv_shrink is mended


def test_on_a_cpu_vllm_multiplies_by_groups(punica: Any) -> None:
    from vllm.lora.punica_wrapper.punica_selector import get_punica_wrapper
    from vllm.platforms.cpu import CpuPlatform

    register()
    assert CpuPlatform.get_punica_wrapper() == OURS
    wrapper = get_punica_wrapper(8, 8, "cpu")
    assert isinstance(wrapper, punica.PunicaWrapperCPU)
    assert f"{type(wrapper).__module__}.{type(wrapper).__qualname__}" == OURS


def test_what_is_replaced_is_as_it_was_when_this_was_written(punica: Any) -> None:
    assert unexpected(punica.PunicaWrapperCPU) is None


def test_another_vllm_keeps_its_own_products_and_says_so(
    punica: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from vllm.platforms.cpu import CpuPlatform

    register()
    monkeypatch.setattr(punica.PunicaWrapperCPU, "add_lora_linear", lambda self, output, inputs: None)
    monkeypatch.setattr(vllm_plugin.log, "parent", logging.getLogger())  # vLLM's logger passes nothing on
    monkeypatch.setattr(vllm_plugin.log, "disabled", False)  # who sets logging up may have done that
    caplog.set_level(logging.WARNING)
    assert CpuPlatform.get_punica_wrapper() == "vllm.lora.punica_wrapper.punica_cpu.PunicaWrapperCPU"
    assert "PunicaWrapperCPU.add_lora_linear is not as expected" in caplog.text
