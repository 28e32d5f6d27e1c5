"""The model under training: what learns, what it writes, and the files it leaves for those who serve it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GraniteConfig,
    Lfm2Config,
    MambaConfig,
)

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.errors import InvalidInput
from chorus.trainer.backends import loading, speed_limits
from chorus.trainer.backends.adapter import AdaptedLinear
from chorus.trainer.backends.model import Model, merge
from chorus.trainer.backends.packed import IGNORED, pack
from chorus.trainer.backends.precision import Precision
from tests.unit.trainer.tiny import COMMON, FP32, SIZES, base, examples, lora, recipe, stir

IDS = torch.tensor([examples()[3].ids])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=IDS, use_cache=False).logits


# --- losses --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["llama", "gpt2", "gptj"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_loss_is_what_transformers_says_of_it(name: str, method: Any, folder: Path) -> None:
    model = Model(base(name, folder), FP32, recipe(method=method))  # a new adapter changes nothing
    one = examples()[3]
    labels = torch.tensor([[t if learn else IGNORED for t, learn in zip(one.ids, one.learn, strict=True)]])
    theirs = AutoModelForCausalLM.from_pretrained(base(name, folder))(input_ids=IDS, labels=labels).loss
    losses = model.losses(pack([[one]], None if model.flat else 64))
    assert losses.mean().item() == pytest.approx(theirs.item(), abs=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_an_adapter_learns_what_pefts_learns(name: str, folder: Path, tmp_path: Path) -> None:
    """The same weights in peft's own layers: the same loss, and the same gradients."""
    model = lora(base(name, folder))
    for parameter in model.parameters().values():
        parameter.data = parameter.data.bfloat16().float()  # as they are in the file
    model.save(tmp_path)
    plain = AutoModelForCausalLM.from_pretrained(base(name, folder))
    theirs = PeftModel.from_pretrained(plain.eval(), tmp_path, is_trainable=True).eval()
    labels = torch.tensor([[t if at % 3 != 1 else IGNORED for at, t in enumerate(examples()[3].ids)]])
    loss = theirs(input_ids=IDS, labels=labels).loss
    ours = model.losses(pack([[examples()[3]]], None)).mean()
    assert ours.item() == pytest.approx(loss.item(), abs=1e-4)
    loss.backward()
    ours.backward()
    named = {key.replace(".default", ""): each.grad for key, each in theirs.named_parameters()}
    for key, parameter in model.parameters().items():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, named[key], atol=1e-3, rtol=1e-3), key


def test_what_learns_is_fp32_and_in_a_fixed_order(folder: Path) -> None:
    bf16 = Precision(torch.bfloat16, "for the test")
    for method in ("lora", "full"):
        models = [Model(base("llama", folder), bf16, recipe(method=method)) for _ in range(2)]
        one, other = (model.parameters() for model in models)
        assert list(one) == list(other)
        assert {each.dtype for each in one.values()} == {torch.float32}
        assert all(torch.equal(one[name], other[name]) for name in one), "from the seed"


def test_no_adapter_is_on_the_head_or_the_embeddings(folder: Path) -> None:
    for name, layers in (("llama", 7), ("gpt2", 4), ("gptj", 6)):
        model = lora(base(name, folder))
        adapted = [key for key, each in model._model.named_modules() if isinstance(each, AdaptedLinear)]
        assert len(adapted) == 2 * layers
        assert len(model.parameters()) == 2 * len(adapted)
        assert not any("head" in key or "embed" in key or "wte" in key for key in model.parameters())


def test_a_whole_model_learns_in_bf16_products_and_fp32_weights(folder: Path) -> None:
    model = Model(base("llama", folder), Precision(torch.bfloat16, "for the test"), recipe(method="full"))
    exact = Model(base("llama", folder), FP32, recipe(method="full"))
    batch = pack([examples()], None)
    rough, fine = model.losses(batch).mean(), exact.losses(batch).mean()
    assert rough.item() == pytest.approx(fine.item(), abs=0.05)
    rough.backward()
    assert {each.grad.dtype for each in model.parameters().values() if each.grad is not None} == {
        torch.float32
    }


def test_activations_are_computed_again_only_when_learning(folder: Path) -> None:
    model = lora(base("llama", folder))
    model.checkpoint_activations()
    calls = []
    layer: Any = model._model.base_model.layers[0].self_attn
    layer.register_forward_hook(lambda *_: calls.append(1))
    for on, expected in ((False, 1), (True, 2)):
        calls.clear()
        model.train(on)
        model.losses(pack([examples()], None)).sum().backward()
        assert len(calls) == expected


# --- writing -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["llama", "mistral", "gpt2"])
def test_greedy_replies_are_those_of_transformers(name: str, folder: Path, tmp_path: Path) -> None:
    model = lora(base(name, folder))
    merge_into = tmp_path / "whole"
    model.save(tmp_path / "adapter")
    merge(base(name, folder), tmp_path / "adapter", merge_into)
    plain = AutoModelForCausalLM.from_pretrained(merge_into, dtype=torch.float32)
    whole = Model(merge_into, FP32, recipe(method="full"))
    prompts = [one.ids for one in examples((3, 9, 1))]
    every_other = plain.generate(torch.tensor([prompts[0]]), do_sample=False, max_new_tokens=12)[
        0, 3:
    ].tolist()
    whole.ends = {every_other[4]}  # so that one of them ends
    for prompt, written in zip(prompts, whole.greedy(prompts, 12), strict=True):
        theirs = plain.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=12, eos_token_id=list(whole.ends)
        )[0, len(prompt) :].tolist()
        assert written.ids == (theirs[:-1] if written.ended else theirs)
        assert written.ended is (theirs[-1] in whole.ends)
        assert len(written.margins) == len(theirs)
        assert all(margin >= 0 for margin in written.margins)


def test_margins_are_nats_between_the_first_choice_and_the_second(folder: Path) -> None:
    model = Model(base("llama", folder), FP32, recipe())
    (written,) = model.greedy([IDS[0].tolist()], 1)
    plain = AutoModelForCausalLM.from_pretrained(base("llama", folder))
    best = logits(plain)[0, -1].log_softmax(-1).topk(2).values
    assert written.margins[0] == pytest.approx((best[0] - best[1]).item(), abs=1e-3)


def test_a_reply_ends_where_the_model_has_no_more_positions(folder: Path) -> None:
    model = Model(base("gpt2", folder), FP32, recipe())
    model.ends = set()
    (written,) = model.greedy([[5] * 1020], 10)
    assert (len(written.ids), written.ended) == (4, False)


def test_a_long_prompt_does_not_cut_the_replies_to_others(folder: Path) -> None:
    model = Model(base("gpt2", folder), FP32, recipe())
    model.ends = set()
    (alone,) = model.greedy([[5, 6, 7]], 10)
    long, full, short = model.greedy([[5] * 1020, [5] * 1024, [5, 6, 7]], 10)
    assert short.ids == alone.ids
    assert (len(long.ids), len(full.ids), len(short.ids)) == (4, 0, 10)


# --- files ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_saved_adapter_is_pefts_and_training_goes_on(name: str, folder: Path, tmp_path: Path) -> None:
    model = lora(base(name, folder))
    before = {key: each.detach().clone() for key, each in model.parameters().items()}
    model.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    with safe_open(tmp_path / "adapter_model.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    assert {each.dtype for each in tensors.values()} == {torch.bfloat16}
    assert all(key.endswith((".lora_A.weight", ".lora_B.weight")) for key in tensors)
    for key, each in model.parameters().items():
        assert torch.equal(each, before[key])
        assert each.dtype == torch.float32
    plain = AutoModelForCausalLM.from_pretrained(base(name, folder))
    theirs = PeftModel.from_pretrained(plain, tmp_path)
    ours = model.losses(pack([[examples()[3]]], None)).detach()
    labels = torch.tensor([[t if at % 3 != 1 else IGNORED for at, t in enumerate(examples()[3].ids)]])
    loss = theirs.eval()(input_ids=IDS, labels=labels).loss
    assert loss.item() == pytest.approx(ours.mean().item(), abs=0.02), "bf16 rounds the weights"


@pytest.mark.parametrize(("name", "tied"), [("llama", True), ("qwen3", False)])
def test_a_head_that_is_the_embedding_is_written_once(
    name: str, tied: bool, folder: Path, tmp_path: Path
) -> None:
    Model(base(name, folder), FP32, recipe(method="full")).save(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert "model.embed_tokens.weight" in names
    assert ("lm_head.weight" in names) is not tied


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_merged_model_says_what_base_and_adapter_say(name: str, folder: Path, tmp_path: Path) -> None:
    lora(base(name, folder)).save(tmp_path / "adapter")
    merge(base(name, folder), tmp_path / "adapter", tmp_path / "whole")
    theirs = logits(
        PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base(name, folder)), tmp_path / "adapter"
        )
    )
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    assert {each.dtype for each in whole.parameters()} == {torch.bfloat16}
    ours = logits(whole.float())
    assert (ours - theirs).norm() / theirs.norm() < 0.03, "bf16 rounds the weights"
    untouched = logits(AutoModelForCausalLM.from_pretrained(base(name, folder)))
    assert (ours - untouched).norm() / untouched.norm() > 0.3, "the adapter does something"


def test_a_whole_model_comes_with_its_tokenizer_and_can_be_gone_on_from(tmp_path: Path) -> None:
    model = Model(STARTER_FOLDER, FP32, recipe(method="full"))
    stir(model)
    model.save(tmp_path)
    prompt = [{"role": "user", "content": "Hello!"}]
    tokenizers = [AutoTokenizer.from_pretrained(each) for each in (STARTER_FOLDER, tmp_path)]
    ours, theirs = (each.apply_chat_template(prompt, tokenize=False) for each in tokenizers)
    assert ours == theirs
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    assert not [path.name for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    again = Model(tmp_path, FP32, recipe(method="full"))
    for key, each in again.parameters().items():
        assert torch.equal(each, model.parameters()[key].bfloat16().float())


def test_an_adapter_can_be_gone_on_from(folder: Path, tmp_path: Path) -> None:
    first = lora(base("llama", folder))
    first.save(tmp_path)
    second = Model(base("llama", folder), FP32, recipe(), parent=tmp_path)
    for key, each in second.parameters().items():
        assert torch.equal(each, first.parameters()[key].bfloat16().float())


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("llama", {"rank": 8}, "parent_does_not_fit"),
        ("llama", {"alpha": 1.0}, "parent_does_not_fit"),
        ("gpt2", {}, "parent_does_not_fit"),
    ],
)
def test_a_parent_that_does_not_fit_is_refused(
    name: str, changes: dict[str, Any], code: str, folder: Path, tmp_path: Path
) -> None:
    lora(base("llama", folder)).save(tmp_path)
    with pytest.raises(InvalidInput) as refused:
        Model(base(name, folder), FP32, recipe(**changes), parent=tmp_path)
    assert refused.value.code == code


def test_a_parent_that_is_no_adapter_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        Model(base("llama", folder), FP32, recipe(), parent=tmp_path)
    assert refused.value.code == "broken_parent"


# --- what cannot be trained ----------------------------------------------------------------------
WIDTHS = {key: value for key, value in SIZES.items() if key != "head_dim"}
REFUSED = {
    "no attention": MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, state_size=4),
    "convolutions between attention": Lfm2Config(**COMMON, **WIDTHS, layer_types=["conv", "full_attention"]),
    "a head with a factor": GraniteConfig(**COMMON, **WIDTHS, logits_scaling=8.0),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_base_for_which_packing_is_not_right_is_refused(kind: str, tmp_path: Path) -> None:
    AutoModelForCausalLM.from_config(REFUSED[kind]).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput) as refused:
        Model(tmp_path, FP32, recipe())
    assert refused.value.code == "unsupported_base"


def test_a_model_whose_examples_see_each_other_is_refused_by_what_it_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If transformers stopped heeding where the examples of a row begin, nothing would be trained."""
    monkeypatch.setattr("transformers.masking_utils.find_packed_sequence_indices", lambda *_: None)
    with pytest.raises(InvalidInput) as refused:
        Model(base("gptj", folder), FP32, recipe())
    assert refused.value.code == "unsupported_base"


def test_qlora_without_a_gpu_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        Model(tmp_path / "nothing here", FP32, recipe(method="qlora"))
    assert refused.value.code == "qlora_needs_gpu"


def test_four_bits_without_bitsandbytes_are_refused_before_anything_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match=r"requirements/gpu\.in") as refused:
        loading.load(base("llama", folder), torch.bfloat16, torch.device("cpu"), four_bits=True)
    assert refused.value.code == "no_bitsandbytes"


def test_compiling_without_a_compiler_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InvalidInput) as refused:
        lora(base("llama", folder)).compile()
    assert refused.value.code == "no_compiler"


# --- speed ---------------------------------------------------------------------------------------
def test_the_work_of_a_token_counts_what_learns_and_what_it_passes_through(folder: Path) -> None:
    whole = Model(base("qwen3", folder), FP32, recipe(method="full"))
    weights = sum(each.numel() for each in whole.parameters().values()) - 300 * 64  # a table to look up
    assert whole.flops_per_token == 6 * weights
    adapter = lora(base("qwen3", folder))
    numbers = sum(each.numel() for each in adapter.parameters().values())
    assert adapter.flops_per_token == 4 * weights + 6 * numbers
    tied = Model(base("llama", folder), FP32, recipe(method="full"))
    assert tied.flops_per_token == 6 * sum(each.numel() for each in tied.parameters().values())
    assert adapter.peak_flops is None


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", 165e12),
        ("Some other card", None),
    ],
)
def test_a_gpus_peak_is_found_by_its_name(
    name: str, peak: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert speed_limits.peak_flops(torch.device("cuda", 0)) == peak
    assert speed_limits.peak_flops(torch.device("cpu")) is None
