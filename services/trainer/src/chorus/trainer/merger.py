"""The merging process: a base and an adapter become a whole model.

python -m chorus.trainer.merger ORDER.json
"""

import sys
from pathlib import Path

from transformers.utils import logging as transformers_logging

from chorus.common import base_model
from chorus.common.errors import ChorusError, InvalidInput
from chorus.trainer.attached import attached, run
from chorus.trainer.backends.model import merge
from chorus.trainer.training.merging import Done, MergeOrder
from chorus.trainer.training.report import Failed, Stage


def main(path: Path) -> int:
    """Merge what the order says; the exit code is 0 also when it cannot be done, for that is told."""
    tell, _ = attached()
    transformers_logging.disable_progress_bar()
    order = MergeOrder.model_validate_json(path.read_bytes())
    try:
        tell(Stage(text=f"merging into {order.base.name}"))
        merge(_base(order), Path(order.adapter), Path(order.out))
        tell(Done())
    except ChorusError as error:
        tell(Failed(code=error.code, message=error.message))
    return 0


def _base(order: MergeOrder) -> Path:
    """Folder of the very base that the adapter was trained on. Raises `InvalidInput` where it is not here."""
    for name in order.bases:
        likely = order.base.name in {name, Path(name).expanduser().resolve().name}
        if likely and (found := base_model.find(name)).id == order.base:
            return found.folder
    raise InvalidInput(
        f"It was trained on the base model {order.base.name!r}, which is not here any more as it was then.",
        code="wrong_base",
    )


if __name__ == "__main__":
    sys.exit(run(main))
