"""What people call base models, and what they are called on the Hugging Face hub.

`model=` is a model of the guild's own; but other trainers name the base by that word. So where it says one
of these names, or a name with an owner (`Qwen/Qwen2.5-0.5B-Instruct`), the base is meant. Which bases there
are is the operator's say: the trainer refuses others with the list; `base=` takes a name as it is there.
"""

import re

BASES = {
    "gpt2": "gpt2",
    "gpt2-small": "gpt2",
    "gpt2-medium": "gpt2-medium",
    "gpt2-large": "gpt2-large",
    "gpt2-xl": "gpt2-xl",
    "distilgpt2": "distilgpt2",
    "dialogpt-small": "microsoft/DialoGPT-small",
    "dialogpt-medium": "microsoft/DialoGPT-medium",
    "dialogpt-large": "microsoft/DialoGPT-large",
    "starter": "starter",
}
"""By names without their sizes: `gpt2-small (124M)` is `gpt2-small`."""

OWNED = r"[\w.-]+/[\w.-]+"


def known_base(text: str) -> str | None:
    """The base that a text surely means."""
    plain = re.sub(r"\s*\([0-9.]+ ?[MBmb]\)$", "", text.strip())
    if (base := BASES.get(re.sub(r"[\s_]+", "-", plain.lower()))) is not None:
        return base
    return plain if re.fullmatch(OWNED, plain) and not plain.startswith(".") else None
