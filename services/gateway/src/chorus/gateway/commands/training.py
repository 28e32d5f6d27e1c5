"""`!train`: from a file or a few words to a model that has learned them."""

from typing import Literal

from pydantic import Field

from chorus.common.contracts.datasets import Dataset
from chorus.common.contracts.names import Name, slug
from chorus.common.contracts.training import Hyperparameters
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Progress, Reply, Text

DEFAULT_MODEL = "main"


class Train(Parameters):
    """What `!train` takes."""

    text: str | None = Field(default=None, description="words to learn")
    file: str | None = Field(default=None, description="a file to learn from")
    positive: bool = Field(default=True, description="whether these are replies to give, or not to give")
    model: Name = Field(default=DEFAULT_MODEL, description="the model that gets a new version")
    epochs: int | None = Field(default=None, ge=1, le=1000, description="passes over the data")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="peak learning rate")
    rank: Literal["8", "16", "32", "64"] | None = Field(default=None, description="rank of the adapter")
    seed: int = Field(default=0, ge=0, lt=2**31, description="for the data's order and the first weights")


async def train(ctx: Context, asked: Train) -> Reply:
    """Turn what was handed over into a dataset, queue a training on it, and watch it."""
    upload, name = await _upload(ctx, asked)
    dataset = await ctx.chorus.datasets.add(
        ctx.guild, name, upload, positive=asked.positive, contributor=ctx.user
    )
    if not dataset.positive:
        return Text(
            f"{_read(dataset)}\nKept as words not to be said. Nothing is trained on them alone: "
            "a model learns what not to say only beside what to say."
        )
    wishes = Hyperparameters(
        epochs=asked.epochs, learning_rate=asked.learning_rate, rank=_rank(asked.rank), seed=asked.seed
    )
    job = await ctx.chorus.jobs.submit(dataset, asked.model, wishes, submitted_by=ctx.user, key=ctx.key)
    return Progress(
        opening=f"{_read(dataset)}\nModel training started. Job ID: {job.job.job}",
        job=ctx.chorus.jobs.follow(ctx.guild, job.job.job),
    )


async def _upload(ctx: Context, asked: Train) -> tuple[Upload, str]:
    """What is to be learned, and the name of the dataset that will hold it."""
    file = _file(ctx, asked)
    if (file is None) == (asked.text is None):
        raise InvalidInput(
            'Give either words to learn or a file: `!train "some words"` or `!train file=examples.json`.',
            code="nothing_to_train_on" if file is None else "text_and_file",
        )
    if file is not None:
        upload = await ctx.files.read(file)
        return upload, slug(upload.name.rsplit(".", 1)[0])
    text = asked.text or ""
    if not text.strip():
        raise InvalidInput("There are no words between the quotes.", code="nothing_to_train_on", param="text")
    return Upload("typed.txt", text.encode()), "typed"


def _file(ctx: Context, asked: Train) -> str | None:
    """The file that was named, or the one that came with the command."""
    attached = ctx.files.attached()
    if asked.file is not None or not attached:
        return asked.file
    if len(attached) > 1:
        raise InvalidInput(
            f"Several files are attached. Say which one to learn: `!train file='{attached[0]}'`.",
            code="several_files",
            param="file",
        )
    return attached[0]


def _rank(text: str | None) -> Literal[8, 16, 32, 64] | None:
    ranks: dict[str, Literal[8, 16, 32, 64]] = {"8": 8, "16": 16, "32": 32, "64": 64}
    return ranks[text] if text else None


def _read(dataset: Dataset) -> str:
    dropped = "".join(f", {count} dropped ({reason})" for reason, count in dataset.dropped.items())
    warnings = "".join(f"\nNote: {warning}" for warning in dataset.warnings)
    examples = "example" if dataset.kept == 1 else "examples"
    return f"Dataset {dataset.id}: {dataset.kept} {examples} of {dataset.format}{dropped}.{warnings}"
