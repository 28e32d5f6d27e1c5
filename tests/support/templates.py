"""Ways of writing a chat: the starter's template, none, and those of the large families of models.

The latter are written from their descriptions, and used with the starter's tokenizer.
"""

from typing import Any

from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import PLAIN_TEMPLATE, prepare

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL = (
    "<s>{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}"
)
"""This one writes a blank before each reply, which is the model's to write."""

TEMPLATES: dict[str, tuple[str | None, list[str], str, str]] = {
    "starter": (AutoTokenizer.from_pretrained(STARTER_FOLDER).chat_template, [], "<|im_end|>", ""),
    "plain": (PLAIN_TEMPLATE, ["<|end|>"], "<|end|>", ""),
    "none": (None, ["<|end|>"], "<|end|>", ""),
    "chatml": (CHATML, [], "<|im_end|>", ""),
    "llama 3": (
        LLAMA3,
        ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|eot_id|>",
        "",
    ),
    "mistral": (MISTRAL, ["<s>", "</s>"], "</s>", " "),
}
"""Template, control tokens that the tokenizer lacks, the one that ends a reply, what a reply begins with."""


def tokenizer_of(name: str) -> Any:
    template, control, end, _ = TEMPLATES[name]
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER)
    tokenizer.add_special_tokens({"additional_special_tokens": control, "eos_token": end})
    tokenizer.chat_template = template
    prepare(tokenizer)
    return tokenizer
