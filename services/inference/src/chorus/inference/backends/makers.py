"""What a model's makers say of it, in files beside its weights."""

import json
from pathlib import Path
from typing import Any


def window(folder: Path, wished: int) -> int:
    """Tokens of prompt and answer together: as many as wished, or as the model was made for."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    return min(wished, config.get("max_position_embeddings") or wished)


def sampling(folder: Path) -> dict[str, Any]:
    """How they sample from it (generation_config.json); without a word of theirs, greedily."""
    path = folder / "generation_config.json"
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    penalty = {"repetition_penalty": told["repetition_penalty"]} if told.get("repetition_penalty") else {}
    if not told.get("do_sample"):
        return {"temperature": 0.0, **penalty}
    names = ("temperature", "top_p", "top_k", "min_p")
    return {**{name: told[name] for name in names if told.get(name) is not None}, **penalty}
