"""Engines one after another: who answers, who is left out for how long, and what is told when nobody can."""

import pytest

from chorus.common.errors import (
    ChorusError,
    InternalError,
    InvalidInput,
    Misconfigured,
    TimedOut,
    Unavailable,
)
from chorus.speech.backends.listeners import Listeners
from chorus.speech.backends.listening import SoFar
from chorus.speech.settings import SpeechSettings
from chorus.speech.voice import breaker
from chorus.speech.voice.breaker import Breaker
from chorus.speech.voice.ears import Engine, engines_of
from chorus.speech.voice.languages import chosen, tag, unknown_language
from chorus.speech.voice.ports import Heard, unheeded
from chorus.speech.voice.sound import Sound

SOUND = Sound(b"\1\0" * 100, 100)


class FakeEngine:
    """Hears what it is told to, or fails so."""

    def __init__(self, engine: Engine, *languages: str) -> None:
        self.engine: Engine = engine
        self.languages = list(languages)
        self.fails: ChorusError | None = None
        self.says = "hello"
        self.asked: list[str] = []

    async def hear(self, sound: Sound, language: str, so_far: SoFar) -> Heard:
        self.asked.append(language)
        await so_far("hel")
        if self.fails:
            raise self.fails
        return Heard(self.says, sound.seconds, language, self.engine)


@pytest.fixture
def google() -> FakeEngine:
    return FakeEngine("google", "*")


@pytest.fixture
def sphinx() -> FakeEngine:
    return FakeEngine("sphinx", "en-US")


@pytest.fixture
def chain(google: FakeEngine, sphinx: FakeEngine) -> Listeners:
    return Listeners([google, sphinx], "en-us")


async def test_the_first_that_can_answers_and_is_named(chain: Listeners, sphinx: FakeEngine) -> None:
    heard = await chain.hear(SOUND, "ru_ru", unheeded)
    assert (heard.engine, heard.language) == ("google", "ru-RU")
    assert not sphinx.asked


@pytest.mark.parametrize("kind", [Unavailable, TimedOut, InternalError, Misconfigured])
async def test_what_one_cannot_do_now_the_next_one_does(
    chain: Listeners, google: FakeEngine, kind: type[ChorusError]
) -> None:
    google.fails = kind("It is away.")
    told: list[tuple[str, str]] = []

    async def tell(text: str, engine: str) -> None:
        told.append((text, engine))

    heard = await chain.hear(SOUND, "auto", tell)
    assert heard.engine == "sphinx"
    assert told == [("hel", "google"), ("hel", "sphinx")]


async def test_one_that_fails_twice_is_left_out(chain: Listeners, google: FakeEngine) -> None:
    google.fails = Unavailable("It is away.")
    for _ in range(4):
        assert (await chain.hear(SOUND, "auto", unheeded)).engine == "sphinx"
    assert len(google.asked) == 2


async def test_where_all_fail_each_reason_is_told(
    chain: Listeners, google: FakeEngine, sphinx: FakeEngine
) -> None:
    google.fails, sphinx.fails = Unavailable("It is away."), TimedOut("It takes too long.")
    with pytest.raises(Unavailable) as error:
        await chain.hear(SOUND, "auto", unheeded)
    assert error.value.code == "nobody_hears"
    assert "(google: It is away; sphinx: It takes too long)" in error.value.message


async def test_where_all_have_failed_they_are_asked_all_the_same(
    chain: Listeners, google: FakeEngine, sphinx: FakeEngine
) -> None:
    google.fails = sphinx.fails = Unavailable("It is away.")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await chain.hear(SOUND, "auto", unheeded)
    sphinx.fails = None
    assert (await chain.hear(SOUND, "auto", unheeded)).engine == "sphinx"
    assert len(google.asked) == len(sphinx.asked) == 4
    assert (await chain.hear(SOUND, "auto", unheeded)).engine == "sphinx"
    assert len(google.asked) == 4, "there is one again that can"


async def test_who_wants_to_be_left_alone_is_not_asked_even_where_there_is_no_other(
    chain: Listeners, google: FakeEngine
) -> None:
    google.fails = Unavailable("It is busy.", retry_after=3600)
    for _ in range(3):
        with pytest.raises(Unavailable) as error:
            await chain.hear(SOUND, "ru-RU", unheeded)
    assert len(google.asked) == 1
    assert (error.value.code, error.value.retry_after) == ("nobody_hears", pytest.approx(3600, abs=10))


async def test_whether_one_is_left_out_is_seen_when_it_is_its_turn(
    chain: Listeners, google: FakeEngine, sphinx: FakeEngine
) -> None:
    sphinx.fails = Unavailable("It is busy.", retry_after=3600)

    async def meanwhile(*_: object) -> None:
        if not sphinx.asked:
            with pytest.raises(Unavailable):
                await chain.hear(SOUND, "auto", unheeded)

    google.fails = Unavailable("It is away.")
    with pytest.raises(Unavailable, match="sphinx: left alone for"):
        await chain.hear(SOUND, "auto", meanwhile)
    assert len(sphinx.asked) == 1


async def test_no_words_are_an_answer(chain: Listeners, google: FakeEngine, sphinx: FakeEngine) -> None:
    google.says = ""
    assert (await chain.hear(SOUND, "auto", unheeded)).text == ""
    assert not sphinx.asked


async def test_what_is_wrong_with_the_question_goes_to_no_other(
    chain: Listeners, google: FakeEngine, sphinx: FakeEngine
) -> None:
    google.fails = InvalidInput("There is no such thing.")
    with pytest.raises(InvalidInput):
        await chain.hear(SOUND, "auto", unheeded)
    assert not sphinx.asked


@pytest.mark.parametrize("language", ["ru-RU", "zz", "no language", ""])
async def test_a_language_that_nobody_hears(sphinx: FakeEngine, language: str) -> None:
    with pytest.raises(InvalidInput) as error:
        await Listeners([sphinx], "en-us").hear(SOUND, language, unheeded)
    assert (error.value.code, error.value.param) == ("unknown_language", "language")
    assert not sphinx.asked


def test_a_broken_engine_gets_one_try_after_a_while() -> None:
    now = 0.0
    broken = Breaker(lambda: now)
    for left in (0.0, breaker.PAUSE):
        assert broken.allows()
        broken.failed()
        assert broken.left == left
    now = breaker.PAUSE
    assert broken.allows()
    assert not broken.allows(), "the others wait for what the one finds"
    assert broken.allows(anyway=True), "where they have no other"
    broken.succeeded()
    assert not broken.left


@pytest.mark.parametrize(("told", "left"), [(120.0, 120.0), (1e9, breaker.LONGEST)])
def test_an_engine_that_says_when_to_come_back_is_left_alone_until_then(told: float, left: float) -> None:
    busy = Breaker(lambda: 0.0)
    busy.failed(told)
    for later in (lambda: busy.allows(anyway=True), busy.failed, busy.succeeded):
        assert busy.left == left
        assert not later()
    assert busy.left == left, "not forgotten for what others find who had begun before"


@pytest.mark.parametrize(
    ("wanted", "known", "listened"),
    [
        ("auto", ["auto", "en", "ru"], "auto"),
        ("auto", ["*"], "de"),
        ("auto", ["en-US"], "en-US"),
        ("auto", ["fr", "de-AT"], "de-AT"),
        ("ru-RU", ["auto", "en", "ru"], "ru"),
        ("ru", ["ru-RU"], "ru-RU"),
        ("en-GB", ["en-US", "en-gb"], "en-gb"),
        ("ru-RU", ["*"], "ru-RU"),
        ("ru-RU", ["en-US"], None),
        ("zh-hant-TW", ["zh", "zh-hant"], "zh-hant"),
    ],
)
def test_which_language_is_listened_for(wanted: str, known: list[str], listened: str | None) -> None:
    assert chosen(wanted, "de", known) == listened


@pytest.mark.parametrize(
    ("wanted", "near"),
    [("fre", "fr"), ("", "de, en-gb"), ("q" * 99, "de, en-gb")],
)
def test_an_unknown_language_is_answered_with_near_ones_of_those_that_there_are(
    wanted: str, near: str
) -> None:
    error = unknown_language(wanted, ["de", "en-gb", "en-us", "fr"], does="speaks", setting="CHORUS_X")
    assert f"Of 4 there are, try: {near}" in error.message
    assert len(error.message) < 300
    alone = unknown_language("xx", ["en", "en-us"], does="speaks", setting="CHORUS_X")
    assert "Of 2 there are, try: en, en-us." in alone.message


@pytest.mark.parametrize(
    ("written", "name"),
    [("ru_ru", "ru-RU"), (" EN-us ", "en-US"), ("de", "de"), ("zh-Hans", "zh-hans"), ("AUTO", "auto")],
)
def test_names_of_languages(written: str, name: str) -> None:
    assert tag(written) == name


def test_engines_as_the_operator_wants_them() -> None:
    assert [(ear.engine, ear.within) for ear in engines_of(SpeechSettings())] == [("sphinx", 60.0)]
    given = SpeechSettings(stt_engines="google=5,vosk,sphinx", vosk_model="/m", google_endpoint="http://g/x")
    google, vosk, sphinx = engines_of(given)
    assert (google.engine, google.within, google.endpoint) == ("google", 5.0, "http://g/x")
    assert (vosk.engine, vosk.model, sphinx.engine) == ("vosk", "/m", "sphinx")
    for wrong in ("", "siri", "sphinx,", "google=0", "google=soon"):
        with pytest.raises(ValueError, match="stt_engines"):
            SpeechSettings(stt_engines=wrong)
