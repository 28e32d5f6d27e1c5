"""The command line: one command of the table, its words as a shell hands them over."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.training import JobError, JobState
from chorus.common.errors import InvalidInput
from chorus.gateway.commands.context import Trust
from chorus.gateway.commands.ports import Upload
from chorus.gateway.commands.rows import find
from chorus.gateway.frontends.cli.arguments import read
from chorus.gateway.frontends.cli.once import run_once
from tests.unit.gateway.fake_data import dataset
from tests.unit.gateway.fakes import World
from tests.unit.gateway.test_console import typed

RAW, PREPROCESSED, RESULTS = "selfChatBot_raw", "selfChatBot_preprocessed", "selfChatBot_results"


def understood(*words: str) -> dict[str, object]:
    name, *rest = words
    return read(find(name), rest).model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "--file", "a b.json", "--epochs", "3"], {"file": "a b.json", "epochs": 3}),
        (["train", "--file=a.json", "--learning-rate=1e-4"], {"file": "a.json", "learning_rate": 1e-4}),
        (["train", "file=a.json", "--gap_minutes", "30"], {"file": "a.json", "gap_minutes": 30}),
        (["train", "some", "words", "--positive", "false"], {"text": "some words", "positive": False}),
        (["train", 'say "hi" a=b'], {"text": 'say "hi" a=b'}),
        (["train", "--text_file", "a.txt", "-d", "club"], {"text_file": "a.txt", "data": "club"}),
        (["train", "-d", "club", "--rank", "8", "--compile"], {"data": "club", "rank": 8, "compile": True}),
        (["train", "--compile", "auto", "--epochs", "auto", "words"], {"text": "words"}),
        (["train", "--", "--file"], {"text": "--file"}),
        (["import", "a.json", "b c.zip", "--name", "club"], {"files": ("a.json", "b c.zip"), "name": "club"}),
        (["import", "a.json", "--real-names"], {"files": ("a.json",), "real_names": True}),
        (["import", "--real-names", "a.json"], {"files": ("a.json",), "real_names": True}),
        (["import", "--bots", "no", "a.json"], {"files": ("a.json",), "bots": False}),
        (["select-dataset", "club@2", "--positive=True"], {"dataset": "club@2", "positive": True}),
        (["privacy", "delete", "--sure"], {"wish": "delete", "sure": True}),
    ],
)
def test_words_are_understood(words: list[str], expected: dict[str, object]) -> None:
    assert understood(*words) == expected


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["train", "--fiel", "a.json"], "unknown_option"),
        (["train", "--epochs"], "missing_value"),
        (["train", "--epochs", "many"], "invalid_parameter"),
        (["train", "--epochs", "1", "epochs=2"], "given_twice"),
        (["jobs", "please"], "unexpected_text"),
        (["dataset"], "missing_parameter"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        understood(*words)
    assert error.value.code == code


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as error:
        understood("train", "--epochs", "many", "--fiel", "a.json", "--rank=7", "--text_file", "b.txt")
    unknown, epochs, rank = error.value.message.splitlines()
    assert unknown.startswith("There is no option `fiel=` here. Did you mean `file=`?")
    assert epochs.startswith("`epochs` cannot be 'many': input should be 'auto' or a valid integer")
    assert rank == "`rank` cannot be '7': input should be 'auto' or 8, 16, 32 or 64."


async def once(world: World, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = await run_once(world.chorus, Trust(via="console"), words, max_upload=10_000, history=Path("none"))
    return code, capsys.readouterr().out


async def test_a_file_is_imported_without_being_read_into_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, world = tmp_path / "export.json", World()
    path.write_text("[]")
    code, shown = await once(world, ["import", str(path), "--name", "club"], capsys)
    assert (code, "Dataset club@1: 2 examples" in shown) == (0, True)
    ((guild, new),) = world.datasets.added
    assert (guild, new.contributor, new.files) == ("local", "local", [Upload("export.json", path)])


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["datasets"], 0, "No datasets yet."),
        (["help"], 0, "!import"),
        (["import", "--help"], 0, "a file to learn from"),
        (["delete-dataset", "nothing"], 1, "[unknown_dataset]"),
        (["nothing"], 1, "[unknown_command]"),
        (["import", "/nowhere/x.json"], 1, "[file_not_found]"),
        (["train", "--data", "nothing"], 1, "[unknown_dataset]"),
        (["train", "some words"], 0, "✓ main@1 is trained"),
    ],
)
async def test_the_exit_code_says_whether_it_worked(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, shown = await once(World(), words, capsys)
    assert (ended, told in shown) == (code, True), shown


# --- `chorus train` -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "folder", "told"),
    [
        ("models/club", "models/club", ""),
        ("club.v2", "club.v2", ""),
        ("trained_model.pt", "trained_model", "A .pt file could run code when it is opened."),
        ("club.v2.BIN", "club.v2", "A .bin file could run code when it is opened."),
    ],
)
async def test_a_trained_model_is_written_to_a_folder(
    path: str, folder: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    code, shown = await once(world, ["train", "words", "--save_path", str(tmp_path / path)], capsys)
    assert code == 0, shown
    assert "✓ main@1 is trained" in shown
    assert f"✓ The model is in the folder {tmp_path / folder}, as safetensors. {told}".strip() in shown
    assert {file.name for file in (tmp_path / folder).iterdir()} == {"adapter_config.json", "README.md"}

    code, shown = await once(world, ["train", "words", "--save-path", str(tmp_path / path)], capsys)
    assert (code, "[file_exists]" in shown, len(world.datasets.added)) == (1, True, 1), "before it is trained"


async def test_where_nothing_can_be_written_nothing_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "club"
    code, shown = await once(world, ["train", "words", "--save-path", str(path)], capsys)
    assert (code, "[file_unwritable]" in shown, world.datasets.added) == (1, True, [])


async def test_a_training_that_fails_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    error = JobError(code="out_of_memory", message="It does not fit.")
    world.jobs.course = [{"state": JobState.FAILED, "error": error}]
    words = ["train", "words", "--save-path", str(tmp_path / "club"), "--interactive"]
    code, shown = await once(world, words, capsys)
    assert (code, "[out_of_memory]" in shown) == (1, True)
    assert not list(tmp_path.iterdir())


async def test_after_a_training_one_talks_with_its_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    world.models.chosen = "club"
    typed(monkeypatch, b"hello\nand you?\n")
    code, shown = await once(world, ["train", "words", "--interactive"], capsys)
    assert code == 0, shown
    assert "chorus> hello\nHello." in shown
    assert [model for _, model, _ in world.answers.asked] == ["main@1", "main@1"]
    assert world.models.chosen == "club", "the guild's voice is another matter"


async def test_a_question_has_its_options_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    code, shown = await once(
        world, ["ask", "When do you open?", "--temperature", "0.7", "--top-k=40"], capsys
    )
    assert (code, shown) == (0, "Hello.\n")
    (asked,) = world.answers.questions
    assert (asked.messages[-1].content, asked.sampling.temperature) == ("When do you open?", 0.7)
    assert asked.sampling.top_k == 40


async def test_two_models_are_compared_and_examples_given_there(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    code, _ = await once(world, ["examples", "add", "--user", "Wifi?", "--bot", "No wifi."], capsys)
    assert code == 0
    code, shown = await once(world, ["compare", "main@1", "base", "When do you open?"], capsys)
    assert (code, shown) == (0, "--- main@1 ---\nHello.\n--- base ---\nHello.\n")
    assert [turn.content for turn in world.answers.questions[0].examples] == ["Wifi?", "No wifi."]


async def test_what_a_shell_can_do_beside_is_in_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    _, shown = await once(World(), ["train", "--help"], capsys)
    for option in ("save_path", "interactive", "text_file", "epochs"):
        assert f"  {option}=   " in shown


# --- selfchatbot's folders ----------------------------------------------------------------------
@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    raw, preprocessed = tmp_path / "raw", tmp_path / "preprocessed"
    export = raw / "Dataset_1_Harbour Café" / "DiscordChatExporter"
    export.mkdir(parents=True)
    preprocessed.mkdir()
    (export.parent / "parameters.json").write_text(
        '{"model": "EleutherAI/gpt-neo", // "model": "other"\n "type_fine_tune": "qlora"}'
    )
    (export / "general.txt").write_text("[12/24/2024 1:05 PM] alice\nhey")
    (export / "elsewhere.txt").symlink_to("/etc/hostname")
    (raw / "Dataset_12_Other").mkdir()
    monkeypatch.setenv(RAW, str(raw))
    monkeypatch.setenv(PREPROCESSED, str(preprocessed))
    monkeypatch.delenv(RESULTS, raising=False)
    return raw, preprocessed


class Seen(World):
    """What is in the file that is imported, for it is gone when the import has ended."""

    def __init__(self, archive: bytes) -> None:
        super().__init__()
        self.seen: dict[str, bytes] = {}
        self.objects.held["local/archive"] = archive
        add = self.datasets.add

        def noted(guild: str, new: object) -> object:
            (upload,) = new.files  # type: ignore[attr-defined]
            with zipfile.ZipFile(upload.data) as packed:
                self.seen = {name: packed.read(name) for name in packed.namelist()}
            return add(guild, new)  # type: ignore[arg-type]

        self.datasets.add = noted  # type: ignore[method-assign,assignment]


def zipped(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("examples.jsonl", "{}\n")
        archive.writestr("card.json", "{}")
    return path.read_bytes()


@pytest.mark.parametrize("words", [["-d", "1"], ["-d1"], ["--dataset=1"]])
async def test_a_folder_of_selfchatbot_is_preprocessed(
    folders: tuple[Path, Path], tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    world = Seen(zipped(tmp_path / "archive.zip"))
    code, shown = await once(world, ["preprocess", *words], capsys)
    target = folders[1] / "Dataset_1_Harbour Café"
    assert code == 0, shown
    assert set(world.seen) == {
        "Dataset_1_Harbour Café/parameters.json",
        "Dataset_1_Harbour Café/DiscordChatExporter/general.txt",
    }, "what is a link is not followed"
    assert "Dataset harbour-cafe@1: " in shown
    assert str(target) in shown.replace("\n", "")
    assert sorted(path.name for path in target.iterdir()) == [
        "card.json", "examples.jsonl", "parameters.json",
    ]  # fmt: skip
    assert json.loads((target / "parameters.json").read_text()) == {
        "data": "harbour-cafe@1", "type_fine_tune": "qlora", "max_length": 1024,
        **Hyperparameters(method="qlora").model_dump(mode="json"),
    }  # fmt: skip
    assert "asks for the base model EleutherAI/gpt-neo." in shown
    assert "chorus train -d harbour-cafe --method qlora --model EleutherAI/gpt-neo" in shown

    code, shown = await once(world, ["preprocess", "-d", "1"], capsys)
    assert (code, "[file_exists]" in shown) == (1, True)


async def test_where_selfchatbot_puts_a_model_it_is_told_where_chorus_has_it(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.setenv(RESULTS, str(tmp_path / "results"))
    world = Seen(zipped(tmp_path / "archive.zip"))
    code, shown = await once(world, ["preprocess", "-d", "1"], capsys)
    told = tmp_path / "results" / "Dataset_1_Harbour Café" / "chorus.md"
    assert (code, str(told) in shown.replace("\n", "")) == (0, True)
    assert "chorus train -d harbour-cafe" in told.read_text()


async def test_parameters_that_ask_for_nothing_are_no_word_worth(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[0] / "Dataset_1_Harbour Café" / "parameters.json").write_text("{}")
    code, shown = await once(Seen(zipped(tmp_path / "archive.zip")), ["preprocess", "-d", "1"], capsys)
    assert (code, "asks for" in shown) == (0, False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-d", "2"], "[unknown_folder]"),
        ([], "[missing_parameter]"),
        (["-d", "../1"], "[missing_parameter]"),
    ],
)
async def test_a_folder_that_is_not_there(
    folders: tuple[Path, Path], words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    code, shown = await once(world, ["preprocess", *words], capsys)
    assert (code, told in shown) == (1, True)
    assert not world.datasets.added


@pytest.mark.parametrize(
    ("set_to", "told"),
    [
        ({RAW: ""}, f"✗ {RAW} is not set. "),
        ({PREPROCESSED: ""}, f"✗ {PREPROCESSED} is not set. "),
        ({RAW: "", PREPROCESSED: ""}, f"✗ {RAW} is not set; {PREPROCESSED} is not set. "),
        (
            {RAW: "", PREPROCESSED: "/no", RESULTS: "/where"},
            f"✗ {RAW} is not set; {PREPROCESSED} is /no, which is no folder; {RESULTS} is /where, ",
        ),
    ],
)
async def test_all_that_is_wrong_with_the_variables_is_explained_at_once(
    folders: tuple[Path, Path],
    set_to: dict[str, str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    code, shown = await once(World(), ["preprocess", "-d", "1"], capsys)
    assert code == 1
    assert shown.startswith(told)
    assert all(name in shown for name in (RAW, PREPROCESSED, RESULTS))
    assert "[missing_variable]" in shown


async def test_an_archive_is_written_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    world = World()
    world.datasets.all = [dataset("club")]
    world.objects.held["local/archive"] = b"PK"
    assert await once(world, ["archive", "club"], capsys) == (
        0,
        "Files in club@1 have been archived.\n✓ club-1.zip, 2 bytes\n",
    )
    assert (tmp_path / "club-1.zip").read_bytes() == b"PK"
    assert (await once(world, ["archive", "club"], capsys))[0] == 0, "the same bytes are there already"
    world.objects.held["local/archive"] = b"other"
    code, shown = await once(world, ["archive", "club"], capsys)
    assert (code, "[file_exists]" in shown) == (1, True)
    assert (tmp_path / "club-1.zip").read_bytes() == b"PK"
    assert (await once(world, ["archive", "club", "--to", "sub/x.zip"], capsys))[0] == 1
