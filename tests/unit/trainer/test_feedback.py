"""What a review approves is learned as preferences: its file is read, built, and sorted into corrections."""

from pathlib import Path

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.feedback import Opinion, ReplyRecord
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.wire import now
from chorus.gateway.commands.preferences import examples
from tests.unit.trainer.curation.built import built
from tests.unit.trainer.curation.written import Written
from tests.unit.trainer.test_lessons import learned, replies


def reply(message: str, asked: str) -> ReplyRecord:
    turns = [Turn(role="system", content="Be kind."), Turn(role="user", name="u1", content=asked)]
    return ReplyRecord(
        guild="5", person="7", people=["7"], message=message, via="form", model="main@1", messages=turns,
        sampling=Sampling(), text="At nine.", at=now(),
    )  # fmt: skip


def opinion(of: ReplyRecord, **said: str) -> Opinion:
    given = Opinion(guild="5", person="7", message=of.message, by="8", via="form", at=now())
    return given.model_copy(update=said)


def test_corrections_and_votes_are_learned_by_preference(tmp_path: Path) -> None:
    corrected, liked, disliked = reply("1", "When?"), reply("2", "At what time?"), reply("3", "Where?")
    made = [
        *examples(corrected, [opinion(corrected, correction="At eight.")]),
        *examples(liked, [opinion(liked, vote="up")]),
        *examples(disliked, [opinion(disliked, vote="down")]),
    ]
    records = Written(tmp_path).records(
        "".join(f"{one.model_dump_json(exclude_none=True)}\n" for one in made)
    )
    version = built(records)
    assert [one.contributors for one in version.examples] == [["7", "8"], ["7"], ["7"], ["7"]]
    lessons = learned(version.examples)
    assert (lessons.objective, lessons.data.corrections, lessons.data.unwanted) == ("dpo", 1, 2)
    assert replies(lessons.groups) == [("At eight.", "!At nine."), ("At nine.",)]
