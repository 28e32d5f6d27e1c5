"""What was trained, in a form that inference can serve.

vLLM serves adapters of some architectures only. An adapter of another one is merged into its base, and what
is published is a whole model.
"""

import asyncio
from pathlib import Path
from typing import Literal

from chorus.common import base_model
from chorus.trainer.training.architectures import form_of
from chorus.trainer.training.merging import MergeOrder, merge_in_child
from chorus.trainer.training.report import Made


def form_to_publish(method: Literal["lora", "qlora", "full"], base: str) -> Literal["adapter", "whole"]:
    """In which form a training on this base of the operator's is published."""
    config = base_model.config_of(base) or {}
    architectures = config.get("architectures")
    return form_of(method, str(architectures[0]) if isinstance(architectures, list) and architectures else "")


async def servable(made: Made, folder: Path, base: str, work: Path) -> tuple[Made, Path]:
    """The model and its folder, merged in a child where that is needed; `work` is for what is made here."""
    if form_to_publish(made.method, base) == made.form:
        return made, folder
    out = work / f"{folder.name}-whole"
    await asyncio.to_thread(out.mkdir)
    order = MergeOrder(bases=[base], base=made.base, adapter=str(folder), out=str(out))
    await merge_in_child(order, work)
    return made.model_copy(update={"form": "whole", "rank": 0}), out
