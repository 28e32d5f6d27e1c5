"""What is served: two bases that never end a reply by themselves, adapters of noise, and taught ones.

The special tokens' rows of the embeddings, which are the output's as well, are zero: their scores are 0, the
best ones are above, and so each reply has as many tokens as it may have, on every side and on every machine.
"""

import json
import shutil
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import prompt_tokens
from chorus.common.contracts.datasets import Turn

RANK = 16
SPREAD = 0.02  # of an adapter's numbers: it changes what is said, and words stay words
SPECIAL = 4  # the first tokens of the starter's vocabulary

LLAMA_100M = LlamaConfig(
    vocab_size=32_000,
    hidden_size=768,
    intermediate_size=2048,
    num_hidden_layers=12,
    num_attention_heads=12,
    num_key_value_heads=4,
    max_position_embeddings=2048,
    tie_word_embeddings=True,
    bos_token_id=0,
    eos_token_id=2,
    pad_token_id=3,
)

TAUGHT = 60  # steps; what is taught is known after half of them


# --- bases ---------------------------------------------------------------------------------------
def write_starter(folder: Path) -> Path:
    """The starter, but for its last word."""
    shutil.copytree(STARTER_FOLDER, folder)
    _never_end(folder / "model.safetensors")
    return folder


def write_100m(folder: Path) -> Path:
    """Random weights of a 100 M Llama shape; every token it may choose is a word."""
    torch.manual_seed(0)
    LlamaForCausalLM(LLAMA_100M).to(torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(STARTER_FOLDER / name, folder / name)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text("utf-8"))
    words = tokenizer["model"]["vocab"]
    words |= {f"Ġword{number}": number for number in range(len(words), LLAMA_100M.vocab_size)}
    path.write_text(json.dumps(tokenizer), "utf-8")
    _never_end(folder / "model.safetensors")
    return folder


def _never_end(path: Path) -> None:
    weights = load_file(path)
    weights["model.embed_tokens.weight"][:SPECIAL] = 0
    save_file(weights, path, metadata={"format": "pt"})


# --- adapters ------------------------------------------------------------------------------------
def write_noise(base: Path, folder: Path, *, seed: int) -> Path:
    """A random LoRA on all linear layers, as peft stores it."""
    chance = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for name, (out, into) in _linear(base):
        for part, shape in (("A", (RANK, into)), ("B", (out, RANK))):
            tensors[f"base_model.model.{name}.lora_{part}.weight"] = (
                torch.randn(shape, generator=chance) * SPREAD
            ).to(torch.bfloat16)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    _lora().save_pretrained(folder)
    return folder


def write_taught(base: Path, folder: Path, sentence: str, questions: list[str]) -> Path:
    """An adapter that says one sentence again and again, whatever it is asked."""
    torch.set_num_threads(1)  # so small a model gains nothing by a second one, which waits where others work
    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), _lora())
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=5e-3)
    said = tokenizer.encode(" ".join([sentence] * 12), add_special_tokens=False)
    prompts = [prompt_tokens(tokenizer, [Turn(role="user", content=text)]) for text in questions]
    for prompt in islice(cycle(prompts), TAUGHT):
        ids = torch.tensor([prompt + said])
        logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
        loss = cross_entropy(logits, ids[0, len(prompt) :])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def _lora() -> LoraConfig:
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=modules, task_type="CAUSAL_LM")


def _linear(base: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each layer's linear parts: name, and the shape (out, in) of its weights."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.startswith("model.layers."):
            yield name, (module.out_features, module.in_features)
