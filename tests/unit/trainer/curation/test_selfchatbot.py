"""selfchatbot's dataset folders: what they hold, and what their parameters say about the build."""

import pytest

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput
from tests.unit.trainer.curation.written import Written, turns, zipped

PARAMETERS = """{
    "model": "https://example.invalid/model", // which one // really
    "type_fine_tune": "qlora",
    "max_length": 512,
    // "batch": 8,
    "preprocessor_data": {"DiscordChatExporter": {"username": "mira // \\"m\\""}}
}"""


def folder(parameters: str = PARAMETERS, root: str = "Dataset_1_Cats/", **files: str) -> bytes:
    return zipped({f"{root}parameters.json": parameters, f"{root}DiscordChatExporter/a.txt": "One.", **files})


@pytest.mark.parametrize("root", ["Dataset_1_Cats/", "", "raw/Dataset_1_Cats/"])
def test_a_folder_is_read_and_its_parameters_are_defaults_of_the_build(written: Written, root: str) -> None:
    reading = written.reading(folder(root=root))
    assert [turns(record) for record in reading.records] == [[("assistant", "One.")]]
    assert reading.defaults == {"target": 'mira // "m"', "max_tokens": 512}
    assert BuildOptions.model_validate(reading.defaults).max_tokens == 512


def test_exports_beside_the_parameters_are_read_with_them(written: Written) -> None:
    reading = written.reading(zipped({"Cats/parameters.json": PARAMETERS, "Cats/a.txt": "One."}))
    assert [turns(record) for record in reading.records] == [[("assistant", "One.")]]
    assert reading.defaults["max_tokens"] == 512


@pytest.mark.parametrize("pack", [False, True], ids=["alone", "in a ZIP"])
def test_a_chat_may_be_called_like_the_parameters(written: Written, pack: bool) -> None:
    chat = '[{"user": "a", "bot": "b"}]'
    files = {"parameters.json": chat, "other.json": chat}
    reading = written.reading(zipped(files) if pack else written.source(chat, "parameters.json"))
    assert len(list(reading.records)) == 1 + pack
    assert not reading.defaults


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ('{"batch": 8}', '"batch" is no known key: known are model'),
        ('{"type_fine_tune": "magic"}', '"magic" is no known type_fine_tune: known are lora, qlora'),
        ('{"max_length": 8}', "between 32 and 32768"),
        ('{"max_length": "8"}', "between 32 and 32768"),
        (
            '{"preprocessor_data": {"Telegram": {}}}',
            '"Telegram" is no known preprocessor: known are DiscordChatExporter',
        ),
        (
            '{"preprocessor_data": {"DiscordChatExporter": {"user": "x"}}}',
            '"user" is no known key of DiscordChatExporter',
        ),
        ('{"preprocessor_data": {"DiscordChatExporter": {"username": 3}}}', "`username`"),
        ('{"preprocessor_data": 3}', "preprocessor_data has to be a JSON object"),
        ("[]", "parameters.json has to be a JSON object"),
        ("{", "parameters.json is not JSON"),
        ("[" * 50_000, "parameters.json is not JSON"),
        (" " * 70_000, "longer than 65,536 bytes"),
    ],
    ids=range(12),
)
def test_what_is_wrong_with_the_parameters_is_named(written: Written, parameters: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        written.records(folder(parameters))
    assert words in error.value.message


def test_a_folder_of_an_unknown_format_is_named(written: Written) -> None:
    with pytest.raises(InvalidInput, match='"Telegram" is no known folder'):
        written.records(folder(**{"Dataset_1_Cats/Telegram/a.json": "[]"}))


def test_datasets_are_sent_one_at_a_time(written: Written) -> None:
    other = {"Dataset_2_Dogs/parameters.json": "{}", "Dataset_2_Dogs/DiscordChatExporter/a.txt": "x"}
    with pytest.raises(InvalidInput) as error:
        written.records(folder(**other))
    assert error.value.code == "several_datasets"
