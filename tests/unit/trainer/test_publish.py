"""What a manifest says of the files that are published with it, and which model answers next."""

from dataclasses import replace
from pathlib import Path

import pytest

from chorus.common.bus.state import Entry
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import LOSSES, MODEL_CARD, SAMPLES
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import Learned, Parent
from chorus.common.objects import file_sha256
from chorus.trainer.training.materials import Materials
from chorus.trainer.training.publish import document_of, manifest_of, succession
from tests.unit.trainer.made import SHA256, a_job, made, materials

REF = ObjectRef(bucket="models", key="1/main/abc/manifest.json", size=1, sha256=SHA256)
OF_ADA = Materials("starter", [], None, ["42"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a child may leave behind."""
    folder = tmp_path / "model"
    (folder / "logs").mkdir(parents=True)
    for name in ("adapter_config.json", "adapter_model.safetensors", "config.json", MODEL_CARD):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in (LOSSES, SAMPLES, MODEL_CARD, "notes.txt"):
        (folder / name).write_text(f"of {name}")
    return folder


def test_an_adapter_is_two_files(folder: Path, documents: Path) -> None:
    manifest = manifest_of(a_job(), made(), folder, OF_ADA, documents)
    assert [file.name for file in manifest.files] == ["adapter_config.json", "adapter_model.safetensors"]
    assert manifest.files[0].sha256 == file_sha256(folder / "adapter_config.json")
    assert {file.name for file in manifest.documents} == {LOSSES, SAMPLES, MODEL_CARD}
    assert manifest.datasets == ["club@3", "fixes@1"]
    assert (manifest.step, manifest.parent, len(manifest.benchmarks)) == (20, None, 2)


def test_a_whole_model_is_all_files_but_the_card_of_its_base(folder: Path, documents: Path) -> None:
    job = a_job(parent=Parent(model="main@2", manifest=REF))
    manifest = manifest_of(job, made(form="whole", method="full", rank=0), folder, OF_ADA, documents)
    assert [file.name for file in manifest.files] == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "config.json",
    ]
    assert (manifest.form, manifest.parent) == ("whole", "main@2")
    card = next(file for file in manifest.documents if file.name == MODEL_CARD)
    assert card.sha256 == file_sha256(documents / MODEL_CARD)


def test_a_document_is_found_beside_its_manifest(folder: Path, documents: Path) -> None:
    (documents / SAMPLES).unlink()
    manifest = manifest_of(a_job(), made(), folder, OF_ADA, documents)
    losses = document_of(manifest, REF, LOSSES)
    assert losses is not None
    assert losses.key == "1/main/abc/losses.csv"
    assert losses.sha256 == file_sha256(documents / LOSSES)
    assert document_of(manifest, REF, SAMPLES) is None


def test_who_learns_one_persons_replies_or_goes_on_from_who_did_imitates(
    folder: Path, documents: Path
) -> None:
    beside = [*a_job().data, Learned(dataset="mimic-ada@1", examples=REF, imitates=True)]
    learned = manifest_of(a_job(data=beside), made(), folder, OF_ADA, documents)
    before = replace(materials(), before=learned)
    went_on = manifest_of(a_job(model="main"), made(), folder, before, documents)
    plain = manifest_of(a_job(), made(), folder, materials(), documents)
    assert [one.imitates for one in (learned, went_on, plain)] == [True, True, False]


class Settings:
    """What a guild has chosen."""

    def __init__(self, chosen: GuildSettings) -> None:
        self._chosen = chosen

    async def get(self, key: str) -> Entry[GuildSettings]:
        return Entry(key, self._chosen, 1)


@pytest.mark.parametrize(
    ("guild", "chosen", "at_once"),
    [
        ("local", GuildSettings(), True),
        ("local", GuildSettings(promote="ask"), True),
        ("local", GuildSettings(promote="ask", voice="main"), False),
        ("100000000000000001", GuildSettings(), False),
        ("100000000000000001", GuildSettings(voice="main"), False),
        ("100000000000000001", GuildSettings(promote="auto"), True),
        ("dm-7", GuildSettings(), False),
    ],
)
async def test_on_discord_the_first_model_waits_to_be_chosen_too(
    guild: str, chosen: GuildSettings, at_once: bool
) -> None:
    assert await succession(Settings(chosen), guild) == (chosen.voice, at_once)  # type: ignore[arg-type]
