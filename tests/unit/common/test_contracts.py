"""Names that cannot be anything else, messages that read well, records that keep their word."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chorus.common.bus import headers as h
from chorus.common.contracts.generation import Delta, Generate, Sampling
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import ModelRecord, ModelVersion, parse_model, token_hash
from chorus.common.contracts.names import Guild, Name, is_server, job_id, person_of, slug
from chorus.common.contracts.wire import Time, decode, encode
from chorus.common.errors import ChorusError, InternalError, InvalidInput, NotFound, from_status, in_short

NAMES = TypeAdapter(Name)
GUILDS = TypeAdapter(Guild)


@given(st.text())
def test_a_slug_is_always_a_name(text: str) -> None:
    NAMES.validate_python(slug(text))


@pytest.mark.parametrize(
    ("text", "name"), [("Harbour Café.json", "harbour-cafe-json"), ("--a__b--", "a-b"), ("x" * 99, "x" * 63)]
)
def test_a_slug_is_near_to_what_was_written(text: str, name: str) -> None:
    assert slug(text) == name


def test_text_without_letters_gets_a_name_of_its_own() -> None:
    assert slug("🦊") != slug("🐻")


@pytest.mark.parametrize("name", ["", "../etc", "a.b", "a b", "A", "-a", "a/b", "a*", "a>", "x" * 64, "a\n"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError):
        NAMES.validate_python(name)


@pytest.mark.parametrize("guild", ["local", "dm-123", "123456789012345678"])
def test_guilds(guild: str) -> None:
    assert GUILDS.validate_python(guild) == guild


@pytest.mark.parametrize("guild", ["", "*", "local.other", "dm-", "dm-x", "local\n", "12 3", ">"])
def test_what_is_no_guild(guild: str) -> None:
    with pytest.raises(ValidationError):
        GUILDS.validate_python(guild)


def test_a_guild_is_a_server_or_one_persons_or_the_local_one() -> None:
    guilds = {"175928847299117063": (True, None), "dm-42": (False, "42"), "local": (False, None)}
    assert {guild: (is_server(guild), person_of(guild)) for guild in guilds} == guilds


def test_one_key_is_one_job_in_one_guild() -> None:
    assert job_id("1", "message-7") == job_id("1", "message-7")
    assert job_id("1", "message-7") != job_id("2", "message-7")
    assert len(job_id("1", "x")) == 10


def test_a_message_is_one_short_line() -> None:
    assert encode(Delta(i=3, text="né\n🌊")) == '{"v":1,"type":"delta","i":3,"text":"né\\n🌊"}'.encode()


def test_times_are_utc() -> None:
    at = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert TypeAdapter(Time).dump_python(at) == "2026-01-02T03:04:05.000Z"
    with pytest.raises(ValidationError):
        TypeAdapter(Time).validate_python(datetime(2026, 1, 2))  # noqa: DTZ001 - that is the point


def test_what_was_not_set_is_left_out() -> None:
    assert encode(GuildSettings(voice="main")) == b'{"v":1,"voice":"main"}'


def test_a_later_versions_extra_field_is_no_error_in_a_record() -> None:
    assert decode(GuildSettings, b'{"v":1,"voice":"main","mood":"bright"}').voice == "main"


def test_the_shortest_handwritten_question() -> None:
    asked = decode(Generate, b'{"messages":[{"role":"user","content":"hi"}]}')
    assert (asked.guild, asked.model, asked.sampling) == ("local", None, Sampling())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"messages":[]}', "`messages`"),
        (b'{"messages":[{"role":"cat","content":"hi"}]}', "`messages.0.role`"),
        (
            b'{"messages":[{"role":"user","content":"hi"}],"sampling":{"temprature":1}}',
            "`sampling.temprature`",
        ),
        (b'{"messages":[{"role":"user","content":"hi"}],"guild":"a.b"}', "`guild`"),
        (
            b'{"messages":[{"role":"user","content":"hi"}],"sampling":{"max_tokens":0}}',
            "`sampling.max_tokens`",
        ),
    ],
)
def test_a_wrong_question_is_told_which_field(body: bytes, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        decode(Generate, body)
    assert words in error.value.message


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("main", ("main", "prod")), ("main@3", ("main", "3")), ("main@previous", ("main", "previous"))],
)
def test_names_of_models(text: str, parsed: tuple[str, str]) -> None:
    assert parse_model(text) == parsed


@pytest.mark.parametrize("text", ["", "@1", "main@", "Main", "a/b", "main@1@2", "main@PROD", "../x@1"])
def test_what_names_no_model(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_model(text)


def record(*versions: int, **aliases: int) -> ModelRecord:
    made = [
        ModelVersion.model_validate(
            {
                "version": number,
                "manifest": {"bucket": "models", "key": "k", "size": 1, "sha256": "0" * 64},
                "base": {"name": "starter", "fingerprint": "0" * 64},
                "dataset": "d@1",
                "job": "a" * 10,
                "created_at": datetime.now(UTC),
            }
        )
        for number in versions
    ]
    return ModelRecord(guild="local", name="main", versions=made, aliases=aliases)


def test_promotion_remembers_what_was_before() -> None:
    promoted = record(1, 2, prod=1, latest=2).promote(2)
    assert promoted.aliases == {"prod": 2, "latest": 2, "previous": 1}


def test_promoting_what_is_in_use_changes_nothing() -> None:
    assert record(1, 2, prod=2, previous=1).promote(2).aliases == {"prod": 2, "previous": 1}


def test_a_rollback_is_a_promotion_of_previous() -> None:
    models = record(1, 2, prod=2, previous=1)
    before = models.find("previous")
    assert before is not None
    assert models.promote(before.version).aliases == {"prod": 1, "previous": 2}


def test_versions_are_found_by_number_and_alias() -> None:
    models = record(1, 2, prod=1, latest=2)
    assert [v.version if (v := models.find(s)) else None for s in ("1", "prod", "latest", "9", "nobody")] == [
        1, 1, 2, None, None,
    ]  # fmt: skip


def test_best_and_final_weights_are_those_of_prod_or_of_the_version_that_is_named() -> None:
    models = record(1, 2, 3, prod=2, latest=3)
    final = models.versions[1].model_copy(update={"label": "2-final"})
    models = models.model_copy(update={"checkpoints": [final]})
    asked = ("best", "final", "prod-final", "prod-best", "2-final", "2-best", "latest-best", "latest-final")
    assert [v.tag if (v := models.find(s)) else None for s in asked] == [
        "2", "2-final", "2-final", "2", "2-final", "2", "3", "3",
    ]  # fmt: skip
    assert record(1, 2).find("best") is None, "no version answers yet"


def test_a_job_that_has_ended_means_what_it_made() -> None:
    models = record(1, 2)
    made = models.versions[0].model_copy(update={"job": "k7f3m2qxab"})
    snapshot = made.model_copy(update={"label": "k7f3m2qxab-2"})
    running = models.model_copy(update={"checkpoints": [snapshot]})
    assert running.find("k7f3m2qxab") == snapshot
    ended = running.model_copy(update={"versions": [made, models.versions[1]]})
    assert ended.find("k7f3m2qxab") == made


def test_token_hashes_tell_apart_what_digits_would_not() -> None:
    assert token_hash([1, 23]) != token_hash([12, 3])


@given(st.sampled_from([400, 403, 404, 409, 413, 429, 499, 500, 503, 504]), st.text(min_size=1))
def test_errors_travel_in_headers(status: int, message: str) -> None:
    error = from_status(status, message, "a_code", "a_field")
    again = h.error_in(h.of_error(error))
    assert again is not None
    assert (type(again), again.message, again.code, again.param) == (
        type(error), message, "a_code", "a_field",
    )  # fmt: skip


def test_an_error_of_another_make_is_understood() -> None:
    error = h.error_in({h.ERROR: "no", h.ERROR_STATUS: "teapot"})
    assert isinstance(error, InternalError)
    assert h.error_in({"X-Other": "1"}) is None
    assert isinstance(h.error_in({h.ERROR: "no", h.ERROR_STATUS: "404"}), NotFound)


def test_every_error_has_a_status_of_its_own() -> None:
    def below(kind: type[ChorusError]) -> list[type[ChorusError]]:
        return [kind, *(k for child in kind.__subclasses__() for k in below(child))]

    direct = ChorusError.__subclasses__()
    assert len({kind.status for kind in direct}) == len(direct)
    for kind in below(ChorusError):
        assert kind.__doc__
        assert kind.default_code.islower()


def test_a_field_that_nobody_knows_is_named_in_short() -> None:
    long = "k" * 600_000
    with pytest.raises(InvalidInput) as error:
        decode(Generate, f'{{"{long}": 1}}'.encode())
    assert len(error.value.message) < 1000
    assert f"`{'k' * 60}…`" in error.value.message


def test_what_is_quoted_can_be_sent() -> None:
    assert in_short("a\ud83d") == "a?"
    assert in_short("é" * 60) == "é" * 60
