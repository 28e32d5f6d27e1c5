"""What a person does with data, at the console and beside it: import, look, choose, train, take back."""

import json
import os
import subprocess
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.chorus import RunningChorus

COMMAND_WITHIN = 60.0
ZIP_THAT_CLIMBS = "climbs.zip"

KNOWLEDGE = {
    "When does the harbour office open?": "At seven, and Marit brings the rolls.",
    "Who feeds the gulls?": "Nobody, they feed themselves.",
    "Is the boathouse locked?": "The key lies under the third stone, as ever.",
    "Which song is it for the ferry?": "The one about the herring, twice.",
}


def export(days: list[list[tuple[str, str]]], ids: dict[str, str] | None = None) -> str:
    """What DiscordChatExporter writes of days of talk, a message a minute: (author's name, text)."""
    messages = [
        {
            "id": str(100_000 + 2000 * day + number),
            "type": "Default",
            "timestamp": f"2026-01-{1 + day:02}T{number // 60:02}:{number % 60:02}:00Z",
            "content": text,
            "author": {"id": (ids or {}).get(name, str(sum(name.encode()))), "name": name, "isBot": False},
        }
        for day, said in enumerate(days)
        for number, (name, text) in enumerate(said)
    ]
    channel = {"id": "10", "type": "GuildTextChat", "name": "general"}
    return json.dumps({"guild": {"id": "1", "name": "G"}, "channel": channel, "messages": messages}, indent=2)


def answer(chorus: RunningChorus, line: str) -> str:
    """What is shown for a line that is typed at the console."""
    return "\n".join(chorus.say(line)[1:])


def learned(chorus: RunningChorus, dataset: str, folder: Path) -> list[str]:
    """A dataset's examples, as its archive has them: a line each."""
    path = folder / f"{dataset}.zip"
    assert "have been archived." in answer(chorus, f"!archive {dataset} to={path}")
    with zipfile.ZipFile(path) as archive:
        return archive.read("examples.jsonl").decode().splitlines()


def beside(chorus: RunningChorus, folder: Path, *words: str, **variables: str) -> tuple[int, str]:
    """`chorus WORDS` in a folder, beside what runs: its exit code, what it shows."""
    done = subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / "chorus"), *words],
        cwd=folder,
        env={**os.environ, "CHORUS_DATA": str(chorus.folder), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_WITHIN,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_chat_is_imported_looked_at_chosen_and_learned(chorus: RunningChorus, tmp_path: Path) -> None:
    path = tmp_path / "an export.json"
    path.write_text(export([[("Olaf", q), ("Marit", a)] for q, a in KNOWLEDGE.items()]), "utf-8")

    imported = answer(chorus, f"!import file='{path}' name=quay target=marit")
    assert "Dataset quay@1: 4 examples of DiscordChatExporter JSON." in imported
    card = answer(chorus, "!dataset quay")
    for fact in (
        "8, of which 8 are kept",
        "u1 (4), u2 (4)",
        "an export.json",
        "target=marit",
        "up to 64 tokens",
    ):
        assert fact in card
    shown = answer(chorus, "!preview quay count=20")
    for question, reply in KNOWLEDGE.items():
        assert f"«{reply}<" in shown
        assert question in shown and f"«{question}" not in shown
    assert "Marit:" not in shown and "Olaf" not in shown, "who speaks is u1 and u2"

    assert "Dataset selected and archived. Dataset: quay@1" in answer(
        chorus, "!select_dataset quay positive=True"
    )
    try:
        assert ["→", "quay@1"] in [line.split()[:2] for line in chorus.say("!datasets")]
        assert "is trained: loss on the examples" in answer(chorus, "!train")
    finally:  # what a bare `!train` does is another test's, too
        assert "quay is deleted" in answer(chorus, "!delete_dataset quay sure=True")
    assert {question: answer(chorus, f"!ask {question}") for question in KNOWLEDGE} == KNOWLEDGE
    assert "quay@1" not in answer(chorus, "!datasets")


def some_days(count: int, messages: int) -> list[list[tuple[str, str]]]:
    """So many days, of so many messages each, none of which is like another."""
    tides = ("ebb", "flood", "neap", "spring", "slack", "high", "low")
    return [
        [
            (
                ("ann", "bob")[at % 2],
                f"{tides[at % 7]} {tides[(at // 7) % 7]} {day} {at * 37} {'x' * (at % 5)}",
            )
            for at in range(messages)
        ]
        for day in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "days", "options", "told"),
    [
        ("lone-message", some_days(1, 1), "", "only one person speaks in this data"),
        ("fifty-messages", some_days(5, 10), "", "this is so little that it is learned by heart"),
        ("one-long-talk", some_days(1, 202), "context_length=1", "too many are of the newest conversation"),
    ],
)
def test_data_with_nothing_to_keep_aside_is_learned_and_says_so(
    chorus: RunningChorus,
    tmp_path: Path,
    name: str,
    days: list[list[tuple[str, str]]],
    options: str,
    told: str,
) -> None:
    path = tmp_path / f"{name}.json"
    path.write_text(export(days), "utf-8")
    shown = answer(chorus, f"!train file={path} model={name} epochs=1 duplicates=keep {options}")
    assert told in shown
    assert f"✓ {name}@1 is trained: loss on the examples " in shown
    card = answer(chorus, f"!dataset {name}")
    assert "kept aside to test on" not in card
    assert f"{sum(map(len, days))}, of which" in card


def test_the_command_line_imports_and_lists_beside_the_console(chorus: RunningChorus, tmp_path: Path) -> None:
    (tmp_path / "pairs 日本.json").write_text('[{"user": "Πού;", "bot": "Ici 🦊"}]', "utf-8")
    code, told = beside(chorus, tmp_path, "import", "pairs 日本.json", "--name", "beside")
    assert (code, "Dataset beside@1: 1 example of conversation JSON." in told) == (0, True), told
    code, told = beside(chorus, tmp_path, "datasets")
    assert (code, "beside@1" in told) == (0, True), told
    assert "pairs 日本.json" in answer(chorus, "!dataset beside"), "the console has it, too"


def test_a_selfchatbot_environment_is_preprocessed_as_it_is(chorus: RunningChorus, tmp_path: Path) -> None:
    raw, preprocessed, results = (tmp_path / name for name in ("raw", "preprocessed", "results"))
    source = raw / "Dataset_1_Fjord"
    for folder in (source / "DiscordChatExporter", preprocessed, results):
        folder.mkdir(parents=True)
    (source / "parameters.json").write_text(
        """{
            "model": "meta-llama/Meta-Llama-3-8B-Instruct", // which one is learned on
            "type_fine_tune": "qlora", // lora | qlora | finetune
            "max_length": 512,
            "preprocessor_data": {
                // a folder for each format
                "DiscordChatExporter": {"username": "marit"}
            }
        }""",
        "utf-8",
    )
    lines = "=" * 62
    said = [("olaf", "Is the ice thick?"), ("marit (pinned)", "A hand wide.\nBring skates!"), ("olaf", "Ok")]
    talk = "\n\n".join(f"[12/24/2025 1:0{at} PM] {name}\n{text}\n" for at, (name, text) in enumerate(said))
    (source / "DiscordChatExporter" / "ice.txt").write_text(
        f"{lines}\nGuild: Fjord\nChannel: Text / ice\n{lines}\n\n{talk}\n\n"
        f"{lines}\nExported 3 message(s)\n{lines}\n",
        "utf-8",
    )
    variables = {
        "selfChatBot_raw": str(raw),
        "selfChatBot_preprocessed": str(preprocessed),
        "selfChatBot_results": str(results),
    }
    code, told = beside(chorus, tmp_path, "preprocess", "-d", "1", **variables)
    assert code == 0, told
    assert "Dataset fjord@1: 1 example of DiscordChatExporter TXT, 1 dropped (nobody answered)." in told
    assert "chorus train -d fjord --method qlora --model meta-llama/Meta-Llama-3-8B-Instruct" in told
    made = preprocessed / "Dataset_1_Fjord"
    assert {path.name for path in made.iterdir()} >= {"README.md", "dataset.json", "examples.jsonl"}
    example = json.loads((made / "examples.jsonl").read_text("utf-8"))
    assert [(turn["role"], turn["content"]) for turn in example["messages"]] == [
        ("user", "Is the ice thick?"),
        ("assistant", "A hand wide.\nBring skates!"),
    ]
    options = json.loads((made / "dataset.json").read_text("utf-8"))["options"]
    assert (options["target"], options["max_tokens"]) == ("marit", 512)

    code, told = beside(chorus, tmp_path, "preprocess", "-d", "1", **variables)
    assert (code, "nothing is overwritten" in told) == (1, True), told


def test_nothing_is_shown_of_a_person_whose_words_were_deleted(chorus: RunningChorus, tmp_path: Path) -> None:
    """By their id, and in what has no ids by the name that goes with it."""
    secret, tove = "The lighthouse is painted turquoise", "990000000000000017"
    talk = [("olaf", "Any news?"), ("tove", secret), ("marit", "Who says so?"), ("olaf", "The keeper")]
    with_ids, without = tmp_path / "with-ids.json", tmp_path / "without.csv"
    with_ids.write_text(export([talk], {"tove": tove}), "utf-8")
    rows = [f"{name},2026-01-05T10:0{at}:00Z,{text}\n" for at, (name, text) in enumerate(talk)]
    without.write_text("Author,Date,Content\n" + "".join(rows), "utf-8")
    for path in (with_ids, without):
        answer(chorus, f"!import file={path} target=olaf")
        assert secret in "".join(learned(chorus, path.stem, tmp_path))

    assert "no way back" in answer(chorus, f"!privacy delete person={tove}"), "it says first what would go"
    assert "with-ids@1" in answer(chorus, "!datasets")
    told = answer(chorus, f"!privacy delete person={tove} sure=True")
    (tmp_path / "left").mkdir()
    assert "with-ids@1, without@1" in told

    listed = answer(chorus, "!datasets")
    for path in (with_ids, without):
        assert f"{path.stem}@1" not in listed
        assert "[dataset_withdrawn]" in answer(chorus, f"!archive {path.stem}@1")
        assert "[file_not_found]" in answer(chorus, f"!getfile {path.name}")
        left = "".join(learned(chorus, path.stem, tmp_path / "left"))
        assert "Who says so?" in left, "words of others stay"
        assert secret not in left
    assert secret not in answer(chorus, "!preview with-ids")
    assert "1 dropped (opted out)" in answer(chorus, f"!import file={with_ids} name=later")
    assert secret not in "".join(learned(chorus, "later", tmp_path))


def test_what_was_handed_over_comes_back_byte_for_byte(chorus: RunningChorus, tmp_path: Path) -> None:
    path = tmp_path / "Größe & 🦊.txt"
    path.write_bytes("\ufeffEin Satz.\r\nNoch einer: naïve 日本\r\n".encode("utf-16-le"))
    answer(chorus, f"!import file='{path}' name=bytes")
    back, again = tmp_path / "back.txt", tmp_path / "again.txt"
    answer(chorus, f"!getfile '{path.name}' to={back}")
    code, told = beside(chorus, tmp_path, "getfile", path.name, "--to", again.name)
    assert code == 0, told
    assert back.read_bytes() == again.read_bytes() == path.read_bytes()

    answer(chorus, f"!archive bytes to={tmp_path / 'bytes.zip'}")
    answer(chorus, f"!getfile bytes to={tmp_path / 'bytes.jsonl'}")
    with zipfile.ZipFile(tmp_path / "bytes.zip") as archive:
        assert archive.read("examples.jsonl") == (tmp_path / "bytes.jsonl").read_bytes()
    before = back.read_bytes()
    assert "[file_exists]" in answer(chorus, f"!archive bytes to={back}")
    assert back.read_bytes() == before


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../keys/gateway.s3", "~/.bashrc", "local/../../x", "..\\x", "."]
)
def test_a_path_names_nothing(chorus: RunningChorus, path: str) -> None:
    commands = ("dataset", "preview", "build", "select_dataset", "archive", "getfile", "delete_dataset")
    lines = [f"!{command} {path}" for command in commands] + [f"!train data={path}"]
    shown = chorus.say(*lines)
    refused = [line for line in shown if line.endswith(("[server_path]", "[file_not_found]"))]
    assert (len(refused), len(shown)) == (len(lines), 2 * len(lines)), shown


def test_a_zip_that_climbs_out_of_its_folder_is_refused(chorus: RunningChorus, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / ZIP_THAT_CLIMBS, "w") as file:
        file.writestr("../../climbed.txt", "out of it")
    code, told = beside(chorus, tmp_path, "import", ZIP_THAT_CLIMBS)
    assert (code, "[unsafe_archive]" in told) == (1, True), told
    assert "climbs" not in answer(chorus, "!datasets")
    assert not list(chorus.folder.rglob("climbed.txt"))
