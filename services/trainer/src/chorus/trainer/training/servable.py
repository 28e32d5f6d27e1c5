"""What was trained, in a form that inference can serve.

vLLM serves adapters of some architectures only. An adapter of another one is merged into its base, and what
is published is a whole model. So is what was trained on such a whole model: inference has no other base.
"""

import asyncio
from pathlib import Path

from chorus.common import base_model
from chorus.trainer.training.architectures import form_of
from chorus.trainer.training.materials import Materials
from chorus.trainer.training.merging import MergeOrder, merge_in_child
from chorus.trainer.training.report import Made


def is_servable(made: Made, made_from: Materials) -> bool:
    """Whether what was trained can be published as it is."""
    if made.form == "whole":
        return True
    config = base_model.config_of(made_from.base) or {}
    architectures = config.get("architectures")
    known = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    return made_from.whole_parent is None and form_of(made.method, known) == "adapter"


async def servable(made: Made, folder: Path, made_from: Materials, work: Path) -> tuple[Made, Path]:
    """The model and its folder, merged in a child where that is needed; `work` is for what is made here."""
    if await asyncio.to_thread(is_servable, made, made_from):
        return made, folder
    out = work / f"{folder.name}-whole"
    await asyncio.to_thread(out.mkdir)
    into, its_id = made_from.base, made.base
    if made_from.whole_parent is not None:
        into = str(made_from.whole_parent)
        its_id = (await asyncio.to_thread(base_model.find, into)).id
    order = MergeOrder(bases=[into], base=its_id, adapter=str(folder), out=str(out))
    await merge_in_child(order, work)
    return made.model_copy(update={"form": "whole", "rank": 0}), out
