"""mimicbot's tables: messages by author, without times and channels."""

import pytest

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.records import EMPTY, Message
from tests.unit.trainer.curation.written import Written, zipped

MESSAGES = 'author_id,content\n42,"hé, ""you"""\n43,\nTom Thumb,=1+1\n99,hi\n'
MEMBERS = "id,name\n42,Mira\n43,Ann\n"
EXPECTED = [
    Message("", "42", "Mira", 'hé, "you"', source="raw_messages.csv"),
    EMPTY,
    Message("", "name:Tom Thumb", "Tom Thumb", "=1+1", source="raw_messages.csv"),
    Message("", "99", "99", "hi", source="raw_messages.csv"),
]


def test_two_tables_that_were_sent_together(written: Written) -> None:
    files = [written.source(MESSAGES, "raw_messages.csv"), written.source(MEMBERS, "members.csv")]
    assert written.records(*files) == EXPECTED


def test_a_session_folder_in_a_zip_with_others_beside_it(written: Written) -> None:
    session = "guild/2024-03-01/"
    reading = written.reading(
        zipped(
            {
                f"{session}raw_messages.csv": MESSAGES,
                f"{session}members.csv": MEMBERS,
                f"{session}cleaned_messages.csv": "author_id,content\n42,cleaned\n",
                f"{session}training_data/train.csv": "response,context1\na,b\n",
                "other.txt": "something else",
            }
        )
    )
    assert len(list(reading.records)) == len(EXPECTED) + 1
    assert reading.formats == {"mimicbot": 4, "plain text": 1}
    assert reading.passed_over == {"files that are not needed": 3}


@pytest.mark.parametrize(
    ("messages", "members"), [("author,content\na,b\n", MEMBERS), (MESSAGES, "id,nick\n1,a\n")]
)
def test_columns_that_are_missing_are_told(written: Written, messages: str, members: str) -> None:
    with pytest.raises(InvalidInput) as error:
        written.records(zipped({"raw_messages.csv": messages, "members.csv": members}))
    assert error.value.code == "unknown_columns"
