"""The package of one's own data: both formats of messages, any language, with or without the account."""

import json

import pytest

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.records import EMPTY, Dropped, Message
from tests.unit.trainer.curation.written import Written, dropped, message, zipped

USER = json.dumps({"id": "42", "username": "mira_", "global_name": "Mira", "relationships": []})
CHANNEL = json.dumps(
    {"id": "100", "type": "GUILD_TEXT", "name": "general", "guild": {"id": "1", "name": "Cats"}}
)
MESSAGES = [
    {"ID": 9, "Timestamp": "2024-07-19 23:09:04", "Contents": "ayy 🌊\nline", "Attachments": ""},
    {
        "ID": 8,
        "Timestamp": "2024-07-19 23:08:00",
        "Contents": "",
        "Attachments": "https://cdn.invalid/1/2/cat.png?ex=1",
    },
    {
        "ID": 7,
        "Timestamp": "2024-07-19 23:07:00",
        "Contents": "two",
        "Attachments": "https://cdn.invalid/a/cat.png?ex=1 https://cdn.invalid/b/dog.jpg",
    },
]
AS_CSV = (
    "ID,Timestamp,Contents,Attachments\r\n"
    '9,2021-07-19 23:09:04.123000+00:00,"ayy, ""🌊""\nline",\r\n'
    "8,2021-07-19 23:08:00+00:00,,https://cdn.invalid/1/2/cat.png\r\n"
)


def test_a_package_holds_its_owners_messages(written: Written) -> None:
    package = zipped(
        {
            "README.txt": "Welcome to your Discord Data Package!",
            "Account/user.json": USER,
            "Account/avatar.png": b"\x89PNG",
            "Activity/analytics/events.json": '{"event_type": "x"}\n',
            "Messages/index.json": '{"100": "general in Cats"}',
            "Messages/c100/channel.json": CHANNEL,
            "Messages/c100/messages.json": json.dumps(MESSAGES, ensure_ascii=False),
        }
    )
    reading = written.reading(written.source(package, "package.zip"))
    records = list(reading.records)
    assert records[0] == Message(
        channel="100",
        author="42",
        author_name="Mira",
        text="ayy 🌊\nline",
        at=1721430544.0,
        id="9",
        source="package.zip/Messages/c100/messages.json",
        account="mira_",
    )
    assert records[1] is EMPTY
    assert message(records[2]).attachments == ("cat.png", "dog.jpg")
    assert reading.formats == {"Discord data package": 3}
    assert reading.passed_over == {"files that are not needed": 6}


@pytest.mark.parametrize(
    "folder", ["messages/100", "messages/c100", "package/Nachrichten/c100", "Wiadomości/c100"]
)
def test_older_packages_and_other_languages(written: Written, folder: str) -> None:
    root = "package/" if folder.startswith("package") else ""
    files = {
        f"{folder}/channel.json": CHANNEL,
        f"{folder}/messages.csv": AS_CSV,
        f"{root}Konto/user.json": USER,
    }
    first, second = written.records(zipped(files))
    assert (message(first).text, message(first).channel, message(first).at) == (
        'ayy, "🌊"\nline',
        "100",
        1626736144.123,
    )
    assert second is EMPTY


def test_who_did_not_ask_for_the_account_has_no_id(written: Written) -> None:
    (record,) = written.records(
        zipped({"Messages/c1/channel.json": "{}", "Messages/c1/messages.json": json.dumps(MESSAGES[:1])})
    )
    assert (message(record).author, message(record).author_name) == ("self", "me")


def test_an_account_without_an_id_is_told(written: Written) -> None:
    files = {"a/user.json": "[]", "m/c1/channel.json": "{}", "m/c1/messages.json": "[]"}
    with pytest.raises(InvalidInput, match="does not say whose package this is"):
        written.records(zipped(files))


def test_all_channels_are_read_and_empty_ones_do_no_harm(written: Written) -> None:
    files = {"account/user.json": USER}
    for number in range(3):
        files[f"messages/c{number}/channel.json"] = "{}"
        files[f"messages/c{number}/messages.json"] = json.dumps(MESSAGES[:number])
    files["messages/c9/channel.json"] = "{}"
    records = written.records(zipped(files))
    assert len(records) == 3
    assert dropped(records) == ["no text"]


def test_what_is_wrong_with_a_message_is_said(written: Written) -> None:
    bad = [
        {**MESSAGES[0], "Contents": None},
        {**MESSAGES[0], "Timestamp": "a secret"},
        {**MESSAGES[0], "Contents": "\ud83d"},
    ]
    files = {"m/c1/channel.json": "{}", "m/c1/messages.json": json.dumps([*MESSAGES[:1], *bad])}
    assert dropped(written.records(zipped(files))) == ["wrong shape", "wrong shape", "half a character"]
    told = [record.mend for record in written.records(zipped(files)) if isinstance(record, Dropped)]
    assert told[1] == "Entry 3 has a wrong `Timestamp`, or none, and is left out."
    with pytest.raises(InvalidInput, match="Entry 1 has no text `Contents`"):
        written.records(zipped({**files, "m/c1/messages.json": json.dumps(bad)}))


def test_a_package_that_was_cut_off_within_a_channel(written: Written) -> None:
    text = json.dumps(MESSAGES)
    files = {"m/c1/channel.json": "{}", "m/c1/messages.json": text[:-5]}
    assert dropped(written.records(zipped(files))) == ["no text", "cut off"]
