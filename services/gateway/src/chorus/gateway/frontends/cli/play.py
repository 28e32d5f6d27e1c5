"""`chorus play`: talk with what was trained on a dataset, as selfchatbot has it.

chorus play                          a conversation with the voice of this place
chorus play -d harbour               with the newest model that was trained on the dataset harbour
chorus play -d 1                     the same, where $selfChatBot_raw has a Dataset_1_Harbour
chorus play -d harbour -t prompt     each line by itself: nothing is remembered
chorus play -d harbour -p "Thick?"   one answer, and the end
chorus play --model main@3 -mt final     the weights of the last step, in place of the best ones
"""

import os
import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from chorus.common.contracts.models import BASE, ModelVersion, parse_model
from chorus.common.contracts.names import slug
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput, NotFound, in_short
from chorus.gateway.commands.chat import Ask, ask
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.phrases import in_a_row
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.frontends.cli.preprocess import RAW


class Play(Parameters):
    """What `chorus play` takes."""

    data: str | None = Field(default=None, description="a dataset: what was trained on it answers (`-d`)")
    model: str | None = Field(default=None, description="who answers: `name`, `name@3`, or `base`")
    type: Literal["session", "prompt"] = Field(
        default="session",
        description="a conversation that is remembered, or each prompt by itself (`-t`)",
    )
    prompt: str | None = Field(default=None, description="one prompt, in place of a talk (`-p`)")
    weights: Literal["best", "final"] | None = Field(
        default=None, description="those that did best, or those of the last step (`-mt`)"
    )


async def play(ctx: Context, asked: Play) -> Reply:
    """Find who is meant; then answer the prompt, or begin a talk."""
    model = await _model(ctx, asked)
    if asked.prompt is not None:
        return await ask(ctx, Ask(question=asked.prompt, model=model))
    ctx.session.model = model
    if asked.type == "prompt":
        ctx.session.turns = deque(maxlen=0)
    kind = "Each line is asked by itself." if asked.type == "prompt" else "What is said is remembered."
    return Text(f"What you say now is said to {model}. {kind} Ctrl-D ends it.")


PLAY = Command(
    "play",
    play,
    Play,
    None,
    'chorus play [-d DATASET] [-t session|prompt] [-p "PROMPT"] [-mt best|final] [--model NAME]',
    "talk with a model",
    ("chorus play -d harbour -t session -mt best", 'chorus play -d harbour -t prompt -p "Is the ice thick?"'),
)


async def _model(ctx: Context, asked: Play) -> str:
    if asked.data is not None and asked.model is not None:
        raise InvalidInput(
            "A dataset means the model that was trained on it, and `--model` names another: one is enough.",
            code="two_models",
            param="model",
        )
    if asked.data is not None:
        name, version = await _trained_on(ctx, asked.data)
        model = f"{name}@{version.tag}"
    else:
        model = asked.model or await ctx.chorus.models.voice(ctx.guild) or BASE
    return await _with_weights(ctx, model, asked.weights) if asked.weights else model


async def _trained_on(ctx: Context, data: str) -> tuple[str, ModelVersion]:
    """The newest version that learned from a dataset. Raises `NotFound`, with those that are learned."""
    records = await ctx.chorus.models.all(ctx.guild)
    versions = [(record.name, v) for record in records for v in record.versions if not v.is_blocked(now())]
    for name in (data, *_as_selfchatbot_calls_it(data)):
        if found := [(model, v) for model, v in versions if _learned(v, name)]:
            return max(found, key=lambda one: one[1].created_at)
    known = in_a_row(sorted({name.partition("@")[0] for _, v in versions for name in v.dataset.split(", ")}))
    told = f"Models were trained on: {known}." if known else "No model is trained yet."
    raise NotFound(
        f"No model was trained on {in_short(data)}. {told} Train one: chorus train -d {slug(data)}",
        code="unknown_dataset",
        param="data",
    )


def _learned(version: ModelVersion, data: str) -> bool:
    """Whether it is among the datasets, by its name or with its version."""
    return any(data in (learned, learned.partition("@")[0]) for learned in version.dataset.split(", "))


def _as_selfchatbot_calls_it(data: str) -> Iterable[str]:
    """The dataset of `Dataset_<number>_<name>`, where this is such a number."""
    raw = os.environ.get(RAW)
    if raw and re.fullmatch(r"[0-9]{1,9}", data):
        for folder in sorted(Path(raw).glob(f"Dataset_{data}_*")):
            yield slug(folder.name.split("_", 2)[2])


async def _with_weights(ctx: Context, model: str, weights: str) -> str:
    """The version's best weights, or those of its last step. Raises `InvalidInput` where it has no such."""
    if model == BASE:
        raise InvalidInput(
            f"The base model was not trained here, so it has no {weights} weights. Leave `-mt` out, or say "
            "`-d` or `--model`.",
            code="no_such_weights",
            param="weights",
        )
    version = await ctx.chorus.models.find(ctx.guild, model)
    if version.label is not None:
        raise InvalidInput(
            f"{model} names its weights already. Leave `-mt` out.", code="no_such_weights", param="weights"
        )
    return f"{parse_model(model)[0]}@{version.version}-{weights}"
