"""A program for `test_ranks`: one of the ranks that share a run with toys.

python -m tests.unit.trainer.two_ranks FOLDER    (as torchrun starts it, by the environment)
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from chorus.trainer.backends.ranks import joined
from tests.unit.trainer.toy import Run, ToyModel, random_groups


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with joined() as together:
        # five rows a step, so that one rank has more of them than the other, and the last step few
        run = Run(folder / "checkpoints", model=ToyModel(dropout=0.0), groups=random_groups(), ranks=together)
        run.changes = {"rows_per_step": 5, "steps": 12, "epochs": 3}
        learned = run.go()
        assert together.from_first(lambda: "Grüße 🌊") == "Grüße 🌊"

        pausing = Run(folder / f"paused-{together.number}", model=ToyModel(), ranks=together)
        if together.number == 1:  # a pause that only one of them has heard of
            pausing.model.on_batch = lambda: pausing.asked.set() if len(pausing.model.computed) == 3 else None
        assert pausing.go().paused
        assert together.first == bool(pausing.saved), "the first rank alone saves"
    save_file(
        {**run.weights, "losses": torch.tensor(learned.state.losses)},
        folder / f"{together.number}.safetensors",
    )
    (folder / f"{together.number}.told").write_text("\n".join(type(report).__name__ for report in run.told))


if __name__ == "__main__":
    main()
