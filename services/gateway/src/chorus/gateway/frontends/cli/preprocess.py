"""`chorus preprocess -d ID`: the first of selfchatbot's three steps, on its folders and its variables.

    $selfChatBot_raw/Dataset_1_Harbour/parameters.json, DiscordChatExporter/*.txt
        → the dataset `harbour`, as `!import` makes it
        → $selfChatBot_preprocessed/Dataset_1_Harbour/examples.jsonl, …: what `!archive` hands over,
          with the training's parameters.json
        → $selfChatBot_results/Dataset_1_Harbour/chorus.md, where there is such a variable: where the model is

Then `chorus train -d harbour`, in place of `selfChatBot_train -d 1`.
"""

import asyncio
import json
import os
import re
import shlex
import tempfile
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chorus.common.contracts.datasets import Building, BuildOptions, Dataset
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.names import slug
from chorus.common.errors import Conflict, InvalidInput, NotFound, in_short
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.ports import NewDataset, Upload
from chorus.gateway.commands.replies import Moment, Progress, Reply, Text
from chorus.gateway.commands.telling import ended_in_words, of_build, summary
from chorus.gateway.commands.trust import basis

PREPROCESS = "preprocess"
RAW, PREPROCESSED, RESULTS = "selfChatBot_raw", "selfChatBot_preprocessed", "selfChatBot_results"
PARAMETERS = "parameters.json"
USAGE = f"Say which dataset: `chorus {PREPROCESS} -d 1` reads ${RAW}/Dataset_1_…"

METHODS = {"lora": "lora", "qlora": "qlora", "finetune": "full"}
"""What selfchatbot calls a method, and what Chorus does."""

_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*')


async def preprocess(ctx: Context, words: Sequence[str]) -> Reply:
    """Import a folder, and write what became of it beside it."""
    number, folders = _id(words), _folders(os.environ)
    folder = _folder(folders.raw, number)
    target = folders.preprocessed / folder.name
    if target.exists():
        raise Conflict(
            f"{target} exists, and nothing is overwritten. Move it away to have it made again.",
            code="file_exists",
        )
    return Progress("", ended_in_words(_preprocessed(ctx, folder, target, folders.results)))


def _id(words: Sequence[str]) -> str:
    """`-d 1`, `-d=1`, `--dataset 1`."""
    match = re.fullmatch(r"(?:-d|--dataset)[ =]?([0-9]{1,9})", " ".join(words))
    if match is None:
        raise InvalidInput(USAGE, code="missing_parameter", param="d")
    return match[1]


@dataclass(frozen=True)
class _Folders:
    """What selfchatbot's variables name."""

    raw: Path
    preprocessed: Path
    results: Path | None


def _folders(environment: Mapping[str, str]) -> _Folders:
    """All of them. Raises `InvalidInput` with everything that is wrong, at once."""
    set_to = {name: environment.get(name, "") for name in (RAW, PREPROCESSED, RESULTS)}
    unset = [name for name in (RAW, PREPROCESSED) if not set_to[name]]
    wrong = [f"{name} is not set" for name in unset]
    wrong += [
        f"{name} is {value}, which is no folder"
        for name, value in set_to.items()
        if value and not Path(value).is_dir()
    ]
    if wrong:
        raise InvalidInput(
            f"{'; '.join(wrong)}. selfchatbot's folders are named by {RAW} (what was exported), "
            f"{PREPROCESSED} (what it becomes) and {RESULTS} (what is trained; it may be left out): "
            f"`export {RAW}=…`",
            code="missing_variable",
            param=wrong[0].partition(" ")[0],
        )
    results = set_to[RESULTS]
    return _Folders(Path(set_to[RAW]), Path(set_to[PREPROCESSED]), Path(results) if results else None)


def _folder(raw: Path, number: str) -> Path:
    """`Dataset_<number>_<name>` among the raw ones."""
    found = sorted(path for path in raw.glob(f"Dataset_{number}_*") if path.is_dir())
    if len(found) != 1:
        names = ", ".join(path.name for path in found or sorted(raw.glob("Dataset_*"))) or "none"
        what = "more than one folder" if found else "no folder"
        raise NotFound(
            f"{raw} has {what} Dataset_{number}_…; there is {names}.", code="unknown_folder", param="d"
        )
    return found[0]


async def _preprocessed(
    ctx: Context, folder: Path, target: Path, results: Path | None
) -> AsyncIterator[Moment]:
    dataset: Dataset | None = None
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / f"{folder.name}.zip"
        yield Moment(stage=f"packing {folder.name}")
        await asyncio.to_thread(_pack, folder, packed)
        new = NewDataset(
            name=slug(folder.name.split("_", 2)[2]),
            files=[Upload(packed.name, packed)],
            positive=True,
            contributor=ctx.user,
            basis=await basis(ctx, "uploaded"),
            options=BuildOptions(),
        )
        async for step in ctx.chorus.datasets.add(ctx.guild, new):
            if isinstance(step, Building):
                yield of_build(step)
            else:
                dataset = step
        assert dataset is not None  # the last step, or an error
        archive = Path(scratch) / "archive.zip"
        packed_up = await ctx.chorus.datasets.archive(ctx.guild, dataset.id)
        await ctx.chorus.objects.download(packed_up.archive).save(archive)
        await asyncio.to_thread(_unpack, archive, target)
    asked = _asked(folder)
    _write_parameters(target, dataset, asked)
    told = [summary(dataset), f"✓ {target}"]
    if results:
        told.append(f"✓ {_write_where(results / folder.name, dataset, asked)}")
    if "model" in asked:
        told.append(
            f"Note: {PARAMETERS} asks for the base model {in_short(str(asked['model']))}. If that is none of "
            "the operator's, leave --model out."
        )
    told.append(f"Train on it: {_train(dataset, asked)}")
    yield Moment(outcome=Text("\n".join(told)))


def _pack(folder: Path, path: Path) -> None:
    """The folder with its name; what is a link is left out, for it may lead anywhere."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_symlink():
                archive.write(file, Path(folder.name) / file.relative_to(folder))


def _unpack(path: Path, target: Path) -> None:
    target.mkdir()
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target)


def _asked(folder: Path) -> dict[str, Any]:
    """What selfchatbot's parameters say. They may have comments, and the import has checked them."""
    try:
        text = (folder / PARAMETERS).read_text("utf-8-sig")
        asked = json.loads(_STRING_OR_COMMENT.sub(lambda found: found[1] or "", text))
    except (OSError, ValueError):
        return {}
    return asked if isinstance(asked, dict) else {}


def _method(asked: Mapping[str, Any]) -> str:
    return METHODS.get(str(asked.get("type_fine_tune")), Hyperparameters().method)


def _train(dataset: Dataset, asked: Mapping[str, Any]) -> str:
    """The command that trains as the parameters say."""
    words = ["chorus", "train", "-d", dataset.name]
    if "type_fine_tune" in asked:
        words += ["--method", _method(asked)]
    if "model" in asked:
        words += ["--model", in_short(str(asked["model"]))]
    return shlex.join(words)


def _write_parameters(target: Path, dataset: Dataset, asked: Mapping[str, Any]) -> None:
    """What a training will go by, beside the data; what is `auto`, Chorus chooses from the data."""
    parameters = {
        "data": dataset.id,
        "type_fine_tune": asked.get("type_fine_tune", "lora"),
        "max_length": dataset.options.max_tokens,
        **Hyperparameters().model_dump(mode="json"),
        "method": _method(asked),
        "max_tokens": dataset.options.max_tokens,
    }
    (target / PARAMETERS).write_text(json.dumps(parameters, indent=4) + "\n")


def _write_where(folder: Path, dataset: Dataset, asked: Mapping[str, Any]) -> Path:
    """For who looks for a model where selfchatbot puts it."""
    folder.mkdir(exist_ok=True)
    told = folder / "chorus.md"
    told.write_text(
        f"Chorus keeps what it trains, with all versions of it:\n\n"
        f"    {_train(dataset, asked)}\n    chorus models\n    chorus ask hello\n"
    )
    return told
