"""Build the starter: the tiny base model that ships with Chorus, so that a first run needs no download.

It is a toy. 0.85 million parameters know how a chat is laid out and a little of the English of
Python's documentation; on their own they say nothing sensible. A LoRA on top of them, though, learns
twenty questions and answers in seconds, on two cores, and vLLM serves it like any other Llama.

The text is the documentation inside the standard library of the Python that runs this script
(docstrings, the pydoc topics and the Unicode character names; PSF-2.0), so nothing is fetched and
nothing has to be shipped. Seeds are fixed: the same Python, torch and processor give the same bytes.

    python scripts/build_starter.py [--out FOLDER]        about four minutes on two cores
"""

import argparse
import ast
import hashlib
import json
import math
import platform
import random
import shutil
import sysconfig
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

OUT = Path(__file__).parent.parent / "libs/common/src/chorus/common/starter"

SEED = 0
VOCABULARY = 2048
ROW = 256  # tokens a training row
ROWS = 16  # rows an optimiser step
STEPS = 800  # 3.3 million tokens, about three times the corpus
PEAK_LR = 3e-3  # warm-up, stable, decay; from research on models of this size
CHAT_SHARE = 0.4  # of the paragraphs are recast as a chat, so that the template's tokens are trained
NOISE_SHARE = 0.3  # of the text is names, numbers and foreign scripts, so that every byte is trained
SCRIPTS = (
    *((0xC0, 0x24F), (0x370, 0x52F), (0x5D0, 0x6FF), (0x900, 0xDFF), (0x1E00, 0x27BF), (0x3041, 0x30FF)),
    *((0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF)),
)  # Latin to Cyrillic, Hebrew and Arabic, India's, signs, kana, Han, Hangul, emoji

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]  # get the ids 0 to 3
END_OF_TEXT, START_OF_TURN, END_OF_TURN, PADDING = SPECIAL
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


# --- 1. the text ---------------------------------------------------------------------------------
def docstrings() -> Iterator[str]:
    """Every docstring of the standard library worth a paragraph, in the order of the files."""
    root = Path(sysconfig.get_paths()["stdlib"])
    left_out = {"test", "tests", "site-packages", "idlelib", "lib2to3", "turtledemo"}
    for path in sorted(root.rglob("*.py")):
        if left_out & set(path.relative_to(root).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                if len(text) > 60:
                    yield text


def noise(rng: random.Random) -> str:
    """A line no documentation has: an identifier, a number, or a word of some script with its name."""
    kind = rng.randrange(4)
    if kind == 0:
        return f"{rng.getrandbits(rng.choice((16, 32, 64))):x}"
    if kind == 1:
        return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789-_", k=rng.randint(3, 14)))
    if kind == 2:
        return str(rng.randrange(10 ** rng.randint(1, 9)))
    first, last = rng.choice(SCRIPTS)
    letters = [chr(rng.randint(first, last)) for _ in range(rng.randint(1, 6))]
    return "".join(letters) + " " + unicodedata.name(letters[0], "unnamed").lower()


def paragraphs() -> list[str]:
    """The corpus in a fixed order: documentation, with noise strewn in."""
    rng = random.Random(SEED)
    texts = [*docstrings(), *(topics[name] for name in sorted(topics))]
    blocks = [block.strip() for text in texts for block in text.split("\n\n") if len(block.strip()) > 30]
    budget = int(sum(map(len, blocks)) * NOISE_SHARE)
    while budget > 0:
        block = " ".join(noise(rng) for _ in range(rng.randint(2, 12)))
        blocks.append(block)
        budget -= len(block)
    rng.shuffle(blocks)
    return blocks


# --- 2. the tokenizer ----------------------------------------------------------------------------
def train_tokenizer(blocks: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE: any text in any language survives, if only as bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(blocks, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TURN,
        pad_token=PADDING,
        model_max_length=2048,
        chat_template=CHAT_TEMPLATE,
    )


def as_chat(block: str, rng: random.Random) -> str:
    """The paragraph as a question (its first words) and an answer (the words that follow)."""
    words = block.split()
    cut = rng.randint(1, max(1, min(12, len(words) // 2)))
    question, answer = " ".join(words[:cut]), " ".join(words[cut : cut + 25])
    return f"{START_OF_TURN}user\n{question}{END_OF_TURN}\n{START_OF_TURN}assistant\n{answer}{END_OF_TURN}\n"


def token_stream(blocks: list[str], tokenizer: PreTrainedTokenizerFast) -> torch.Tensor:
    """All the text as one line of token ids, documents parted by the end-of-text token."""
    rng = random.Random(SEED)
    texts = [as_chat(block, rng) if rng.random() < CHAT_SHARE else block for block in blocks]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    end = SPECIAL.index(END_OF_TEXT)
    return torch.tensor([token for document in ids for token in (*document, end)])


# --- 3. the model --------------------------------------------------------------------------------
def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with heads of 64: vLLM's CPU and GPU kernels both serve that size."""
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=SPECIAL.index(END_OF_TEXT),
        eos_token_id=SPECIAL.index(END_OF_TURN),
        pad_token_id=SPECIAL.index(PADDING),
    )
    return LlamaForCausalLM(config)


def learning_rate(step: int) -> float:
    """Warm up for 20 steps, hold, and from 70 % on go down in a line to 2 %."""
    done = step / STEPS
    return PEAK_LR * min(1.0, (step + 1) / 20) * (1.0 if done < 0.7 else max(0.02, (1 - done) / 0.3))


def pretrain(model: LlamaForCausalLM, stream: torch.Tensor) -> float:
    """Next-token prediction on random rows of the stream; returns the mean loss of the last 50 steps."""
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    generator = torch.Generator().manual_seed(SEED)
    model.train()
    losses: list[float] = []
    for step in range(STEPS):
        starts = torch.randint(0, len(stream) - ROW - 1, (ROWS,), generator=generator).tolist()
        rows = torch.stack([stream[start : start + ROW + 1] for start in starts])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        logits = model(input_ids=rows[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step % 100 == 0 or step == STEPS - 1:
            print(f"step {step:4d} of {STEPS}   loss {loss.item():.3f}", flush=True)
    return sum(losses[-50:]) / 50


# --- 4. the folder -------------------------------------------------------------------------------
def model_card(blocks: list[str], stream: torch.Tensor, loss: float) -> str:
    """What this is, what it was made from and under which licence."""
    corpus = hashlib.sha256("\n\n".join(blocks).encode()).hexdigest()
    return f"""# Chorus starter (a toy)

A Llama of 0.85 million parameters for first runs and tests. On its own it says nothing sensible.

| | |
|---|---|
| made by | `scripts/build_starter.py`, seed {SEED}, {STEPS} steps of {ROW * ROWS} tokens |
| text | documentation in the library of Python {platform.python_version()}; random names and numbers |
| text's licence | PSF-2.0 (Python Software Foundation); Unicode character names: Unicode-3.0 |
| text's sha256 | `{corpus}` |
| tokens | {len(stream)} |
| training loss | {loss:.2f} nats a token (perplexity {math.exp(loss):.0f}) |
| licence of the weights | Apache-2.0 |
"""


def save(out: Path, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, card: str) -> None:
    """Write the folder anew: weights in bf16 safetensors, tokenizer, facts for Chorus, model card."""
    shutil.rmtree(out, ignore_errors=True)
    model.bfloat16().save_pretrained(out)
    tokenizer.save_pretrained(out)
    facts = {"label": "starter (a toy: it knows only what you train it on)", "remembers": 0}
    (out / "chorus.json").write_text(json.dumps(facts, indent=2) + "\n")
    (out / "README.md").write_text(card)


def main() -> None:
    """Text, tokenizer, model, folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, help="folder to write (default: where the package reads it)"
    )
    out: Path = parser.parse_args().out
    torch.set_num_threads(2)  # the sums, and so the bytes, depend on it
    blocks = paragraphs()
    tokenizer = train_tokenizer(blocks)
    stream = token_stream(blocks, tokenizer)
    print(f"{len(blocks)} paragraphs, {len(stream)} tokens, {len(tokenizer)} in the vocabulary", flush=True)
    model = new_model(tokenizer)
    loss = pretrain(model, stream)
    save(out, model, tokenizer, model_card(blocks, stream, loss))
    print(f"written to {out}")


if __name__ == "__main__":
    main()
