"""Commands about datasets: made, looked at, chosen, handed over, deleted; never a path of the host."""

import io
from datetime import UTC, datetime

import pytest
from PIL import Image

from chorus.common.contracts.datasets import Basis, BuildOptions, Histogram, Source
from chorus.gateway.commands.card import card_of
from chorus.gateway.commands.histogram import BAR, picture
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.replies import Card, File, Problem, Samples, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import card, dataset, ref
from tests.unit.gateway.fakes import World, told


@pytest.fixture
def world() -> World:
    made = World()
    made.datasets.all = [dataset("club", 1), dataset("club", 2), dataset("typed")]
    return made


async def text_of(world: World, line: str) -> str:
    reply = await run(world.context(), line)
    assert isinstance(reply, Text), reply
    return reply.text


async def problem(world: World, line: str) -> Problem:
    reply = await run(world.context(), line)
    assert isinstance(reply, Problem), reply
    return reply


# --- making -------------------------------------------------------------------------------------
async def test_an_import_makes_a_dataset_and_trains_nothing(world: World) -> None:
    said = await told(await run(world.context(), "!import data.json 'more.json' name=crew target=Marit"))
    assert said.startswith("Dataset crew@1: 2 examples of plain text")
    ((_, new),) = world.datasets.added
    assert [file.name for file in new.files if isinstance(file, Upload)] == ["data.json", "more.json"]
    assert (new.options, new.basis.way) == (BuildOptions(target="Marit"), "uploaded")
    assert not world.jobs.records


async def test_an_import_takes_a_name_with_spaces(world: World) -> None:
    world.files.files["my file.json"] = Upload("my file.json", b"[]")
    await told(await run(world.context(), '!import "my file.json"'))
    await told(await run(world.context(), "!import file='my file.json'"))
    assert [new.name for _, new in world.datasets.added] == ["my-file", "my-file"]


async def test_too_many_files_are_refused(world: World) -> None:
    world.files.with_the_command = ["data.json"] * 101
    assert (await problem(world, "!import")).code == "too_many_files"


async def test_a_dataset_is_built_anew_with_what_changes(world: World) -> None:
    world.datasets.all = [dataset("club", options=BuildOptions(gap_minutes=5))]
    said = await told(await run(world.context(), "!build club min_words=3"))
    assert said.startswith("Dataset club@2: ")
    assert world.datasets.rebuilt == [("club@1", BuildOptions(gap_minutes=5, min_words=3))]
    assert (await problem(world, "!build club")).code == "nothing_to_change"


# --- looking ------------------------------------------------------------------------------------
async def test_datasets_are_listed_with_the_selected_one(world: World) -> None:
    world.datasets.selected = "club@1"
    reply = await run(world.context(), "!datasets")
    assert isinstance(reply, Card)
    assert [(row[0], row[1]) for row in reply.rows] == [("", "club@2"), ("→", "club@1"), ("", "typed@1")]
    world.datasets.all = []
    assert (await text_of(world, "!datasets")).startswith("No datasets yet.")


async def test_a_card_says_all_that_is_known() -> None:
    made = dataset(
        "club",
        3,
        card=card(
            read=1200, kept=1000, dropped={"bot": 50, "system notice": 150}, examples=90, positive=60,
            validation=9, conversations=80, tokens=12345, people=4, replaced={"email": 2}, situational=7,
            first_at=datetime(2025, 1, 2, tzinfo=UTC), last_at=datetime(2025, 3, 4, tzinfo=UTC),
            warnings=["One.", "Two."],
        ),
        basis=Basis(way="mined", mode="permitted", reference="DISCORD-1"),
        options=BuildOptions(target="Marit"),
    )  # fmt: skip
    shown = card_of(made)
    assert shown.title == "club@3"
    assert shown.rows == [
        ("format", "plain text"),
        ("read", "1,200, of which 1,000 are kept"),
        ("dropped", "150 system notice, 50 bot"),
        ("examples", "90, 9 of them kept aside to test on"),
        ("learned as", "60 replies to give, 30 not to give"),
        ("conversations", "80"),
        ("tokens", "12,345"),
        ("made anonymous", "2 email"),
        ("bound to a day or place", "7 replies"),
        ("people", "4"),
        ("speakers", "u1 (2)"),
        ("from", "2025-01-02 to 2025-03-04"),
        ("files", "club.json"),
        ("came in", "read from channels, by 42"),
        ("by what right", "the operator has Discord's permission (DISCORD-1)"),
        ("options", "target=Marit"),
        ("made", "2026-01-02 06:04 UTC"),
        ("note", "One."),
        ("note", "Two."),
    ]
    assert shown.picture is not None


async def test_what_is_not_known_is_left_out(world: World) -> None:
    world.datasets.all = [dataset("club", card=card(positive=0, dropped={}))]
    reply = await run(world.context(admin=False), "!dataset club")
    assert isinstance(reply, Card)
    told_of = dict(reply.rows)
    assert told_of["learned as"] == "words not to be said"
    assert not {"dropped", "from", "made anonymous", "conversations"} & set(told_of)
    assert told_of["options"] == "as they are by default"


def test_the_picture_has_a_bar_for_each_length() -> None:
    drawn = picture(Histogram(edges=[16, 32, 64, 128, 256], counts=[0, 4, 1, 2, 0]), "club")
    assert drawn is not None
    assert (drawn.name, drawn.text) == ("club-lengths.png", "▇▂▃  up to 32 … 128 tokens")
    image = Image.open(io.BytesIO(drawn.png))
    image.load()
    assert image.format == "PNG"
    floor = image.height - 30
    blue = [colour_of(image, x, floor) == BAR for x in range(image.width)]
    runs = sum(here and not before for before, here in zip([False, *blue], blue, strict=False))
    assert runs == 3
    heights = [max_height(image, x) for x in (image.width // 5, image.width // 2, image.width * 4 // 5)]
    assert heights[0] > heights[2] > heights[1]


def colour_of(image: Image.Image, x: int, y: int) -> str:
    pixel = image.convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    return "#{:02x}{:02x}{:02x}".format(*pixel)


def max_height(image: Image.Image, x: int) -> int:
    return sum(colour_of(image, x, y) == BAR for y in range(image.height))


@pytest.mark.parametrize("counts", [[1], [0, 0, 7], [3] * 24, [10**9, 1]])
def test_any_histogram_can_be_drawn(counts: list[int]) -> None:
    drawn = picture(Histogram(edges=[2**n for n in range(len(counts))], counts=counts), "x")
    assert drawn is not None
    Image.open(io.BytesIO(drawn.png)).verify()
    assert drawn.text.endswith(" tokens")


def test_nothing_has_no_picture() -> None:
    assert picture(Histogram(edges=[16, 32], counts=[0, 0]), "x") is None


async def test_a_preview_shows_what_is_learned(world: World) -> None:
    reply = await run(world.context(), "!preview club@1 count=2")
    assert isinstance(reply, Samples)
    assert reply.title == "club@1"
    assert [[(p.text, p.learned) for p in sample] for sample in reply.samples] == [
        [("user: hi\n", False), ("ahoy", True)]
    ] * 2


# --- choosing and handing over ------------------------------------------------------------------
async def test_a_dataset_is_selected(world: World) -> None:
    said = await text_of(world, "!select_dataset club positive=True")
    assert said.startswith("Dataset selected and archived. Dataset: club@2: 2 examples of plain text")
    assert world.datasets.selected == "club@2"


@pytest.mark.parametrize(
    "path", ["/var/data", "~/data", "./data", "..", "data/club", r"C:\data", r"data\club", '"/var/my data"']
)
@pytest.mark.parametrize(
    "command", ["select_dataset", "archive", "preview", "dataset", "build", "delete_dataset"]
)
async def test_a_path_of_the_host_names_nothing(world: World, command: str, path: str) -> None:
    reply = await problem(world, f"!{command} {path}")
    assert reply.code == "server_path"
    assert "Datasets: club, typed." in reply.message
    assert world.datasets.selected is None


async def saved(file: File) -> bytes:
    return await file.data.read()


async def test_an_archive_is_handed_over(world: World) -> None:
    world.objects.held["local/archive"] = b"PK"
    reply = await run(world.context(), "!archive club")
    assert isinstance(reply, File)
    assert (reply.name, reply.text) == ("club-2.zip", "Files in club@2 have been archived.")
    assert await saved(reply) == b"PK"
    named = await run(world.context(), "!archive club@1 to=mine.zip")
    assert isinstance(named, File)
    assert named.name == "mine.zip"


async def test_an_uploaded_file_is_handed_over_or_a_datasets_examples(world: World) -> None:
    world.objects.held |= {"local/club.json": b"[1]", "local/typed-1-examples": b"{}"}
    for name, filename, data in (
        ("club.json", "club.json", b"[1]"),
        ("`Club.JSON`", "club.json", b"[1]"),
        ("typed", "typed-1.jsonl", b"{}"),
    ):
        reply = await run(world.context(), f"!getfile {name}")
        assert isinstance(reply, File)
        assert (reply.name, reply.text) == (filename, "Here is the file you requested:")
        assert await saved(reply) == data


@pytest.mark.parametrize("name", ["/etc/passwd", "../.env", "nothing.json", "gone.json", "gone"])
async def test_a_file_that_is_not_there(world: World, name: str) -> None:
    world.datasets.all.append(dataset("gone", withdrawn="somebody's words were in it"))
    reply = await problem(world, f"!getfile {name}")
    assert reply == Problem("file_not_found", f"File not found: {name}. Files here: club.json, typed.json.")


async def test_a_name_that_climbs_stays_where_it_is(world: World) -> None:
    sly = Source(file=ref("sly"), filename="../../.bashrc")
    world.datasets.all = [dataset("club", sources=[sly])]
    reply = await run(world.context(), "!getfile ../../.bashrc")
    assert isinstance(reply, File)
    assert reply.name == ".bashrc"


# --- deleting -----------------------------------------------------------------------------------
async def test_what_would_go_is_told_before_it_goes(world: World) -> None:
    said = await text_of(world, "!delete_dataset club")
    assert "club@2" in said
    assert "club.json" in said
    assert said.endswith("!delete_dataset club sure=True")
    assert len(world.datasets.all) == 3
    assert await text_of(world, "!delete_dataset club sure=True") == (
        "club is deleted: 2 versions, 6 stored objects."
    )
    assert [made.name for made in world.datasets.all] == ["typed"]


@pytest.mark.parametrize(
    ("name", "code"), [("club@1", "one_version"), ("nothing", "unknown_dataset"), ("Club", "unknown_dataset")]
)
async def test_what_cannot_be_deleted(world: World, name: str, code: str) -> None:
    assert (await problem(world, f"!delete_dataset {name} sure=True")).code == code
    assert len(world.datasets.all) == 3
