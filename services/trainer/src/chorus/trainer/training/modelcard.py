"""The model card: what a model is, what it learned from and how well, in Hugging Face's format.

https://huggingface.co/docs/hub/model-cards. It may be published, so it has counts and times, and never a
name of a person or a word of theirs.
"""

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from chorus.common.contracts.datasets import Dataset
from chorus.common.contracts.models import Benchmark
from chorus.common.contracts.training import TrainJob
from chorus.trainer.training.report import Made

LIBRARIES = ("chorus-trainer", "torch", "transformers", "safetensors")


def model_card(job: TrainJob, made: Made, datasets: Sequence[Dataset]) -> str:
    """The card in Markdown. `datasets` are the job's versions, as far as they are still listed."""
    known = {dataset.id: dataset for dataset in datasets}
    data = [_data_row(learned.dataset, known.get(learned.dataset)) for learned in job.data]
    return "\n\n".join(
        [
            _header(made),
            f"# {job.model}",
            _summary(job, made),
            "## Data",
            "What people wrote is no part of this card. Where somebody has their words deleted, Chorus finds "
            "the models that were trained on them, and withdraws them.",
            _table(("data", "examples", "tokens", "people", "written", "by what right"), data),
            "## Benchmarks",
            _benchmarked(made),
            "## Recipe",
            _table(("what", "value"), [(name, _value(it)) for name, it in made.hyperparameters.items()]),
            "## Made with",
            _table(("what", "version"), [*_versions(), ("job", job.job), ("base model", _base(made))]),
            "## Use",
            _use(job, made),
        ]
    ) + "\n"  # fmt: skip


def _header(made: Made) -> str:
    """The part that the hub reads: YAML, of which JSON's strings and lists are a part."""
    facts: dict[str, str | list[str]] = {
        "library_name": "peft" if made.form == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "license": "other",
        "license_name": "see-base-model",
        "tags": ["chorus", made.method, *(["lora"] if made.method == "qlora" else [])],
    }
    if "/" in made.base.name:  # a model of the hub; the hub refuses cards that name others
        facts["base_model"] = made.base.name
    lines = [f"{name}: {json.dumps(value)}" for name, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _summary(job: TrainJob, made: Made) -> str:
    what = "A LoRA adapter for" if made.form == "adapter" else "A whole model, made from"
    after = f", going on from {job.parent.model}" if job.parent else ""
    judged = made.evaluation
    which = "that were kept out of training" if judged.held_out else "that it was trained on"
    return (
        f"{what} `{made.base.name}`{after}, trained by Chorus on chats. On {judged.examples} examples "
        f"{which}, its loss went from {judged.loss_before:.3f} to {judged.loss_after:.3f} nats a token. "
        "It answers in the manner of the chats that it read, and knows nothing that they and the base model "
        "do not have."
    )


def _data_row(name: str, dataset: Dataset | None) -> tuple[str, ...]:
    if dataset is None:
        return (name, "not listed any more", "", "", "", "")
    card, basis = dataset.card, dataset.basis
    days = [f"{at:%Y-%m-%d}" for at in (card.first_at, card.last_at) if at]
    right = f"{basis.way}; mode {basis.mode}" + (f"; permission {basis.reference}" if basis.reference else "")
    people = str(card.people) if card.people else ""
    return (name, f"{card.examples:,}", f"{card.tokens:,}", people, " to ".join(dict.fromkeys(days)), right)


def _benchmarked(made: Made) -> str:
    """Each look at the model, the base first; the step that this model is of is marked."""

    def row(each: Benchmark) -> tuple[str, ...]:
        replies = f"{each.exact} of {each.replies}" if each.replies else ""
        chrf = "" if each.chrf is None else f"{each.chrf:.1f}"
        name = f"**{each.name}**" if each.step == made.step else each.name
        return (name, str(each.step), f"{each.loss:.3f}", f"{each.perplexity:.2f}", chrf, replies)

    head = ("when", "step", "loss, nats a token", "perplexity", "chrF", "exact replies")
    return _table(head, [row(each) for each in made.benchmarks])


def _versions() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for library in LIBRARIES:
        try:
            found.append((library, version(library)))
        except PackageNotFoundError:
            continue
    return found


def _base(made: Made) -> str:
    return f"{made.base.name}, fingerprint {made.base.fingerprint[:16]}"


def _use(job: TrainJob, made: Made) -> str:
    """Three lines for each of two libraries."""
    here = f"PATH/TO/{job.model}"
    if made.form == "whole":
        code = (
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            f'model = AutoModelForCausalLM.from_pretrained("{here}")',
            f'tokenizer = AutoTokenizer.from_pretrained("{here}")',
        )
        serve = f"vllm serve {here}"
    else:
        code = (
            "from peft import PeftModel; from transformers import AutoModelForCausalLM",
            f'base = AutoModelForCausalLM.from_pretrained("{made.base.name}")',
            f'model = PeftModel.from_pretrained(base, "{here}")',
        )
        serve = (
            f"vllm serve {made.base.name} --enable-lora --max-lora-rank {max(8, made.rank)} "
            f"--lora-modules {job.model}={here}"
        )
    return "\n".join(["```python", *code, "```", "", "```sh", serve, "```"])


def _value(value: float | str | None) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
