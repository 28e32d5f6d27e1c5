"""A dataset version as a ZIP: its examples, its card in words, and how it was made."""

import asyncio
import zipfile
from pathlib import Path

from chorus.common.contracts import storage
from chorus.common.contracts.datasets import Card, Dataset
from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import NotFound
from chorus.common.objects import ObjectStore
from chorus.trainer.datasets.library import Library, archives_of
from chorus.trainer.scratch import scratch

BEGINNING = (1980, 1, 1, 0, 0, 0)  # the oldest time that a ZIP knows: the same version is the same bytes


async def archive(library: Library, store: ObjectStore, dataset: Dataset, folder: Path) -> ObjectRef:
    """Pack the version, and put it beside the uploads. Raises `NotFound` if it was withdrawn meanwhile."""
    ref = await _packed(store, dataset, folder)
    try:
        await library.find(dataset.guild, dataset.id)
    except NotFound:  # who withdrew it may not have seen what was just put there
        await store.delete(storage.FILES, [ref.key])
        raise
    return ref


async def _packed(store: ObjectStore, dataset: Dataset, folder: Path) -> ObjectRef:
    async with scratch(folder, "archive-") as made:
        examples, packed = made / "examples.jsonl", made / "archive.zip"
        await store.get_file(dataset.examples, examples)
        await asyncio.to_thread(_pack, dataset, examples, packed)
        return await store.put_file(storage.FILES, _key(dataset), packed)


def filename(dataset: Dataset) -> str:
    """As people get it."""
    return f"{dataset.name}-{dataset.version}.zip"


def _key(dataset: Dataset) -> str:
    return f"{archives_of(dataset)}{filename(dataset)}"


def _pack(dataset: Dataset, examples: Path, packed: Path) -> None:
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        with (
            examples.open("rb") as lines,
            file.open(zipfile.ZipInfo("examples.jsonl", BEGINNING), "w") as entry,
        ):
            while chunk := lines.read(1024 * 1024):
                entry.write(chunk)
        file.writestr(zipfile.ZipInfo("README.md", BEGINNING), _described(dataset))
        made = dataset.model_dump_json(indent=2, exclude={"contributor"}, exclude_none=True)
        file.writestr(zipfile.ZipInfo("dataset.json", BEGINNING), made)


def _described(dataset: Dataset) -> str:
    """The card as a page."""
    card = dataset.card
    lines = [
        f"# {dataset.id}",
        "",
        f"Made from {card.format} on {dataset.created_at:%Y-%m-%d}, on the basis of "
        f"{dataset.basis.way} words (mode {dataset.basis.mode}).",
        "",
        *(f"- {fact}" for fact in _facts(card)),
        *(f"- Note: {warning}" for warning in card.warnings),
        "",
        "`examples.jsonl` has one example a line: `messages`, each with a role, its text and perhaps a name; "
        "what the role `assistant` says is learned. `dataset.json` says how it was made.",
        "",
    ]
    return "\n".join(lines)


def _facts(card: Card) -> list[str]:
    dropped = "".join(f", {count:,} dropped ({reason})" for reason, count in card.dropped.items())
    replaced = ", ".join(f"{count:,} × {kind}" for kind, count in card.replaced.items())
    return [
        f"{card.read:,} entries read: {card.kept:,} kept{dropped}",
        f"{card.examples:,} examples with {card.tokens:,} tokens, {card.validation:,} of them kept aside",
        f"{card.conversations:,} conversations of {card.people:,} people",
        *(
            [f"from {card.first_at:%Y-%m-%d} to {card.last_at:%Y-%m-%d}"]
            if card.first_at and card.last_at
            else []
        ),
        *([f"personal data replaced: {replaced}"] if replaced else []),
    ]
