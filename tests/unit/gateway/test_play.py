"""`chorus play` as selfchatbot has it, and `chorus ask` as scripts use it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from chorus.common.contracts.generation import Delta, End, Waiting
from chorus.common.contracts.models import ModelRecord, Stale
from chorus.common.errors import Unavailable
from chorus.gateway.commands.ports import Question
from tests.unit.gateway.fake_data import AT
from tests.unit.gateway.fakes import FakeAnswers, World
from tests.unit.gateway.test_cli import RAW, once
from tests.unit.gateway.test_console import typed
from tests.unit.gateway.test_models import version

FIRST, LATER = AT, AT + timedelta(days=1)
BLOCKED = Stale(since=AT, blocked_at=AT)
PROMPT = ["-p", "Is the ice thick?"]


@pytest.fixture
def world() -> World:
    made = World()
    versions = [
        version(1, dataset="harbour@1", created_at=FIRST),
        version(2, dataset="club@1, harbour@2", created_at=LATER),
        version(3, BLOCKED, dataset="harbour@3", created_at=LATER),
    ]
    checkpoint = version(1, label="1-final", dataset="harbour@1", created_at=FIRST)
    other = [version(1, dataset="quay@1", created_at=FIRST)]
    made.models.records = [
        ModelRecord(
            guild="local", name="main", versions=versions, checkpoints=[checkpoint], aliases={"prod": 2}
        ),
        ModelRecord(guild="local", name="other", versions=other, aliases={"prod": 1}),
    ]
    made.models.chosen = "other"
    return made


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ([], "other"),
        (["-d", "harbour"], "main@2"),
        (["-d", "harbour@1"], "main@1"),
        (["-d", "club"], "main@2"),
        (["-d", "1"], "main@2"),
        (["-d", "quay", "-mt", "best"], "other@1-best"),
        (["-d", "harbour", "-mt", "final"], "main@2-final"),
        (["--model", "main@1"], "main@1"),
        (["--model", "main", "-mt", "final"], "main@2-final"),
        (["-mt", "best"], "other@1-best"),
        (["--model", "base"], None),
        (["-t", "prompt"], "other"),
        (["-t", "session"], "other"),
    ],
)
async def test_who_is_asked(
    words: list[str],
    model: str | None,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "Dataset_1_Harbour").mkdir()
    monkeypatch.setenv(RAW, str(tmp_path))
    assert await once(world, ["play", *words, *PROMPT], capsys) == (0, "Hello.\n")
    assert [asked for _, asked, _ in world.answers.asked] == [model]


async def test_where_none_is_trained_the_base_plays(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    assert (await once(world, ["play", *PROMPT], capsys))[0] == 0
    assert [asked for _, asked, _ in world.answers.asked] == [None]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["-d", "ice"], "unknown_dataset", "Models were trained on: club, harbour, quay."),
        (["-d", "2"], "unknown_dataset", "chorus train -d 2"),
        (["-d", "club", "--model", "main"], "two_models", "one is enough"),
        (["-mt", "worst"], "invalid_parameter", "'best' or 'final'"),
        (["-t", "dialog"], "invalid_parameter", "'session' or 'prompt'"),
        (["-p"], "missing_value", "`--prompt` needs a value"),
        (["--model", "base", "-mt", "best"], "no_such_weights", "was not trained here"),
        (["--model", "main@1-final", "-mt", "best"], "no_such_weights", "names its weights already"),
        (["--model", "nobody", "-mt", "best"], "unknown_model", "no model nobody"),
        (["--temperature", "2"], "unknown_option", "Options: `data=`, `model=`"),
        (["hello"], "unexpected_text", "hello"),
    ],
)
async def test_what_is_wrong_is_explained(
    words: list[str], code: str, told: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, shown = await once(world, ["play", *words], capsys)
    assert (ended, f"[{code}]" in shown, told in shown) == (1, True, True), shown


@pytest.mark.parametrize(("kind", "remembered"), [("session", 3), ("prompt", 1)])
async def test_a_session_is_remembered_and_prompts_are_not(
    kind: str,
    remembered: int,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed(monkeypatch, b"hello\nand you?\n")
    code, shown = await once(world, ["play", "-d", "harbour", "-t", kind], capsys)
    assert (code, "said to main@2." in shown) == (0, True)
    assert [model for _, model, _ in world.answers.asked] == ["main@2", "main@2"]
    assert len(world.answers.asked[1][2]) == remembered


async def test_help_has_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = await once(World(), ["play", "--help"], capsys)
    assert (code, all(f"  {name}=   " in shown for name in ("data", "type", "prompt", "weights"))) == (
        0,
        True,
    )


# --- chorus ask, in scripts ----------------------------------------------------------------------
class Slow(FakeAnswers):
    """First says why it waits, at last that it was cut off."""

    async def ask(self, guild: str, question: Question) -> AsyncIterator[Waiting | Delta | End]:
        yield Waiting(code="starting", text="The engine is starting.")
        async for piece in super().ask(guild, question):
            yield piece.model_copy(update={"finish_reason": "length"}) if isinstance(piece, End) else piece


async def test_into_a_pipe_goes_the_answer_alone(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.answers = Slow()
    assert await once(world, ["ask", "When do you open?"], capsys) == (0, "Hello.\n")
    world.answers.says = {None: Unavailable("The engine is gone.", code="engine_died")}
    assert await once(world, ["ask", "When?"], capsys) == (1, "✗ The engine is gone. [engine_died]\n")


async def test_a_dash_is_what_comes_in_on_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    typed(monkeypatch, "\ufeff--model is née=?\nAnd a = b?\n".encode())
    assert await once(world, ["ask", "--model", "base", "-"], capsys) == (0, "Hello.\n")
    ((_, model, turns),) = world.answers.asked
    assert (model, turns[-1].content) == (None, "--model is née=?\nAnd a = b?")
