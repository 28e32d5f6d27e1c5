"""`!train`: from words, files or a dataset to a model that has learned them."""

from collections.abc import AsyncIterator
from typing import Literal

from pydantic import Field

from chorus.common.contracts.datasets import Building, Dataset
from chorus.common.contracts.names import Name
from chorus.common.contracts.training import Hyperparameters
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.replies import Moment, Progress, Reply, Text
from chorus.gateway.commands.sources import (
    Handed,
    Steps,
    from_data,
    from_files,
    from_selected,
    from_words,
    uploads,
)
from chorus.gateway.commands.telling import ended_in_words, of_build, of_job, summary

DEFAULT_MODEL = "main"


class Train(Handed):
    """What `!train` takes."""

    text: str | None = Field(default=None, description="words to learn")
    data: str | None = Field(default=None, description="a dataset, or a file that was uploaded before")
    model: Name = Field(default=DEFAULT_MODEL, description="the model that gets a new version")
    epochs: int | None = Field(default=None, ge=1, le=1000, description="passes over the data")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="peak learning rate")
    rank: Literal["8", "16", "32", "64"] | None = Field(default=None, description="rank of the adapter")
    seed: int = Field(default=0, ge=0, lt=2**31, description="for the data's order and the first weights")


async def train(ctx: Context, asked: Train) -> Reply:
    """Turn what was handed over into a dataset, queue a training on it, and watch both."""
    steps = await _what_to_learn(ctx, asked)
    return Progress("", ended_in_words(_trained(ctx, asked, steps)))


async def _what_to_learn(ctx: Context, asked: Train) -> Steps:
    """Words, files or a dataset: one of them, or what was selected."""
    attached = ctx.files.attached()
    file = asked.data if asked.data in attached else asked.file
    data = None if asked.data in attached else asked.data
    if sum((asked.text is not None, data is not None, bool(file or attached))) > 1:
        raise InvalidInput(
            "Words, a file and a dataset are learned one at a time: give one of them.", code="text_and_file"
        )
    if asked.text is not None:
        return await from_words(ctx, asked, asked.text)
    if data is not None:
        return await from_data(ctx, asked, data)
    if file or attached:
        return await from_files(ctx, asked, await uploads(ctx, *([file] if file else [])))
    return await from_selected(ctx, asked)


async def _trained(ctx: Context, asked: Train, steps: Steps) -> AsyncIterator[Moment]:
    """The import, then the job, moment by moment."""
    dataset: Dataset | None = None
    async for step in steps:
        if isinstance(step, Building):
            yield of_build(step)
        else:
            dataset = step
    assert dataset is not None  # the last step, or an error
    yield Moment(note=summary(dataset))
    if not dataset.card.positive:
        kept = "a model learns what not to say only beside what to say."
        if asked.positive:  # somebody meant to train on it
            raise InvalidInput(
                f"{dataset.id} holds only replies that are not wanted, and nothing is trained on them alone: "
                f"{kept}",
                code="only_unwanted",
                param="data",
            )
        yield Moment(outcome=Text(f"Kept as words not to be said. Nothing is trained on them alone: {kept}"))
        return
    async for moment in _job(ctx, asked, dataset):
        yield moment


async def _job(ctx: Context, asked: Train, dataset: Dataset) -> AsyncIterator[Moment]:
    wishes = Hyperparameters(
        epochs=asked.epochs, learning_rate=asked.learning_rate, rank=_rank(asked.rank), seed=asked.seed
    )
    job = await ctx.chorus.jobs.submit(dataset, asked.model, wishes, submitted_by=ctx.user, key=ctx.key)
    yield Moment(note=f"Model training started. Job ID: {job.job.job}", goes_on=True)
    async for record in ctx.chorus.jobs.follow(ctx.guild, job.job.job):
        yield of_job(record)


def _rank(text: str | None) -> Literal[8, 16, 32, 64] | None:
    ranks: dict[str, Literal[8, 16, 32, 64]] = {"8": 8, "16": 16, "32": 32, "64": 64}
    return ranks[text] if text else None
