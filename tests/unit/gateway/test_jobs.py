"""Jobs as people see them: while they run, how they ended, what can be done about them."""

import json
from datetime import timedelta
from typing import Any

import pytest

from chorus.common.contracts.models import Benchmark, ModelRecord, Parity
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import Checkpoint, Committed, JobEvent, JobState, Progress
from chorus.common.contracts.wire import now
from chorus.common.errors import Unavailable
from chorus.gateway.commands import replies
from chorus.gateway.commands.curve import losses_of, picture
from chorus.gateway.commands.figures import duration
from chorus.gateway.commands.outcome import choice
from chorus.gateway.commands.replies import Card, Moment, Problem, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import AT, ref
from tests.unit.gateway.fakes import RESULT, World, told
from tests.unit.gateway.test_models import version

STEP = Progress(step=3, steps=9, epoch=1, epochs=3, loss=1.5, tokens_per_s=12000, seconds_left=75)
LOSSES, SAMPLES = ref("losses.csv"), ref("samples.json")
# However long ago this file was read, its worker was heard of just now.
RUNS = {"state": JobState.RUNNING, "stage": "learning", "updated_at": now() + timedelta(days=1)}


def benchmark(name: str, loss: float, exact: int) -> Benchmark:
    return Benchmark(
        name=name, step=0, epoch=0, loss=loss, perplexity=200.5, chrf=8.4, exact=exact, replies=10,
        examples=10, held_out=False,
    )  # fmt: skip


BASE, EPOCH = benchmark("base", 5.31, 0), benchmark("epoch 1", 0.2, 9)


def warning(world: World, text: str, level: str = "warn") -> JobEvent:
    job = next(iter(world.jobs.records), "a" * 10)
    return JobEvent.model_validate(
        {
            "type": "message", "message": text, "level": level, "guild": "local", "job": job,
            "state": "running", "created_at": int(AT.timestamp()),
        }
    )  # fmt: skip


@pytest.fixture
def world() -> World:
    made = World()
    made.objects.held[LOSSES.key] = b"step,loss\n0,5.0\n1,2.5\n2,0.1\n"
    sample = {
        "messages": [{"role": "user", "content": "Who feeds\nthe gulls?"}],
        "before": "x" * 99,
        "after": "Nobody.",
        "expected": "Nobody.",
    }
    made.objects.held[SAMPLES.key] = json.dumps({"samples": [sample]}).encode()
    return made


def succeeded(**others: Any) -> dict[str, object]:
    changes = {"losses": LOSSES, "samples": SAMPLES, **others}
    return {
        "state": JobState.SUCCEEDED, "benchmarks": [BASE, EPOCH], "result": RESULT.model_copy(update=changes)
    }  # fmt: skip


async def moments(world: World, line: str = "!train words") -> list[Moment]:
    reply = await run(world.context(), line)
    assert isinstance(reply, replies.Progress), reply
    return [moment async for moment in reply.moments]


async def test_a_training_is_told_while_it_goes_on(world: World) -> None:
    world.jobs.course = [
        RUNS,
        {"benchmarks": [BASE]},
        {"progress": STEP},
        warning(world, "out of memory: shorter rows"),
        {"benchmarks": [BASE, EPOCH]},
        succeeded(),
    ]
    went = await moments(world)
    assert [moment.note for moment in went if moment.note][2:] == [
        "base: loss 5.31, perplexity 200.5, chrF 8, exact 0 of 10",
        "Note: out of memory: shorter rows",
        "epoch 1: loss 0.20, perplexity 200.5, chrF 8, exact 9 of 10",
    ]
    figures = next(moment for moment in went if moment.figures and moment.job)
    assert (figures.stage, figures.done, figures.total) == ("learning", 3, 9)
    assert figures.figures == ("step 3/9", "epoch 1/3", "loss 1.500", "12,000 tokens/s", "1:15 left")


async def test_an_outcome_has_its_curve_and_replies_side_by_side(world: World) -> None:
    world.jobs.course = [succeeded(ended="no better loss in 3 benchmarks")]
    *_, last = await moments(world)
    assert last.outcome == Text(
        "✓ main@1 is trained: loss on the examples 5.00 → 0.10, 9 steps in 3 s. It answers now.\n"
        "It ended early: no better loss in 3 benchmarks."
    )
    measured, answers = last.more
    assert [row[:2] for row in measured.rows] == [("base", "loss 5.31"), ("epoch 1", "loss 0.20")]
    assert measured.picture is not None
    assert measured.picture.name == "main-1-loss.png"
    assert measured.picture.png.startswith(b"\x89PNG")
    assert measured.picture.text == "▇▃▁  loss 5.00 → 0.10 over 3 steps"
    assert answers.rows == [("Who feeds the gulls?", f"{'x' * 39}…", "Nobody.", "Nobody.")]
    assert all(len(row) == len(card.columns) for card in last.more for row in card.rows)


async def test_what_is_gone_is_told_and_the_rest_is_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: ObjectRef) -> None:
        raise Unavailable("The object store is away.")

    monkeypatch.setattr(world.objects, "download", refuse)
    world.jobs.course = [succeeded()]
    *_, last = await moments(world)
    measured, answers = last.more
    assert "The object store is away." in measured.footer
    assert len(measured.rows) == 2
    assert "The object store is away." in answers.footer


@pytest.mark.parametrize(
    ("verdict", "told_so"),
    [
        ("same", "To have it answer: !use main@1"),
        ("unchecked", "To have it answer: !use main@1"),
        ("differs", "all the same: !use main@1 force=yes"),
    ],
)
async def test_a_version_that_is_held_back_says_why(world: World, verdict: str, told_so: str) -> None:
    parity = Parity.model_validate({"verdict": verdict, "reason": "2 of 5 probes are answered otherwise"})
    world.jobs.course = [succeeded(in_use=False, parity=parity)]
    *_, last = await moments(world)
    assert isinstance(last.outcome, Text)
    assert last.outcome.text.endswith(told_so)
    assert ("answered otherwise" in last.outcome.text) == (verdict == "differs")


async def test_a_job_that_is_paused_is_watched_no_longer_and_goes_on_later(world: World) -> None:
    world.jobs.course = [RUNS | {"benchmarks": [BASE]}, {"state": JobState.PAUSED}, succeeded()]
    *_, last = await moments(world)
    (job,) = world.jobs.records
    assert last.outcome == Text(f"Job {job} is paused. To go on: !resume {job}")

    world.jobs.course = [RUNS, succeeded()]
    said = (await told(await run(world.context(), f"!resume {job}"))).splitlines()
    assert said[0] == f"Job {job} goes on."
    assert said[1].startswith("epoch 1: "), "what was told before is not told again"
    assert said[-1].startswith("✓ main@1 is trained")


async def test_a_job_is_paused(world: World) -> None:
    world.jobs.course = []
    await moments(world)
    (job,) = world.jobs.records
    stops = Text(f"Job {job} stops, and keeps what it has learned. To go on: !resume {job}")
    assert await run(world.context(), f"!pause {job}") == stops
    again = await run(world.context(), f"!pause {job}")
    assert isinstance(again, Problem)


async def test_all_of_a_job_is_shown(world: World) -> None:
    world.jobs.course = [succeeded()]
    await moments(world, "!train words epochs=3 method=full base=gpt2")
    (job,) = world.jobs.records
    shown = await run(world.context(), f"!job {job}")
    assert isinstance(shown, Card)
    assert shown.rows == [
        ("state", "succeeded: main@1, loss 5.00 → 0.10 in 3 s"),
        ("base", "loss 5.31, perplexity 200.5, chrF 8, exact 0 of 10"),
        ("epoch 1", "loss 0.20, perplexity 200.5, chrF 8, exact 9 of 10"),
        ("answers", "now"),
        ("model", "main"),
        ("learns from", "typed@1"),
        ("base model", "gpt2"),
        ("method", "full"),
        ("chosen", "epochs=3"),
        ("submitted", "2026-01-02 03:04 UTC, by 42"),
    ]
    assert shown.picture is not None


async def test_a_job_that_runs_is_shown_with_its_figures(world: World) -> None:
    checkpoint = Checkpoint(step=2, manifest=ref("manifest.json"), at=AT)
    world.jobs.course = [RUNS | {"progress": STEP, "attempt": 2, "checkpoint": checkpoint}]
    await moments(world)
    (job,) = world.jobs.records
    shown = await run(world.context(), f"!job {job}")
    assert isinstance(shown, Card)
    assert shown.rows[:4] == [
        ("state", "running: step 3 of 9"),
        ("progress", "step 3/9, epoch 1/3, loss 1.500, 12,000 tokens/s, 1:15 left"),
        ("attempt", "2"),
        ("checkpoint", "of step 2"),
    ]


async def test_the_log_has_the_newest_lines_without_figures(world: World) -> None:
    await moments(world)
    (job,) = world.jobs.records
    assert "Nothing has been said" in str(await run(world.context(), f"!logs {job}"))
    metrics = warning(world, "").model_copy(update={"type": "metrics"})
    stages = [warning(world, f"stage {number}", "info") for number in range(3)]
    world.jobs.events = [*stages, metrics, warning(world, "shorter rows")]
    shown = await run(world.context(), f"!logs {job} count=2")
    assert isinstance(shown, Card)
    assert shown.rows == [
        ("2026-01-02 03:04:05", "", "stage 2"),
        ("2026-01-02 03:04:05", "warn", "shorter rows"),
    ]
    assert shown.footer == f"2 earlier lines: !logs {job} count=4"


@pytest.mark.parametrize(
    ("losses", "signs"),
    [([], None), ([3.0], None), ([2.0, 2.0], "▁▁"), ([0.0, 4.0], "▁▇"), ([4, 3, 2, 1, 0], "▇▅▃▂▁")],
)
def test_a_curve_as_signs(losses: list[float], signs: str | None) -> None:
    drawn = picture(losses, "main-1")
    assert (drawn.text.split()[0] if drawn else None) == signs


def test_a_long_curve_is_thinned() -> None:
    drawn = picture([1 / (step + 1) for step in range(10_000)], "main-1")
    assert drawn is not None
    assert len(drawn.text.split()[0]) == 40


def test_losses_are_read_by_the_names_of_their_columns() -> None:
    assert losses_of(b"step,loss,learning_rate\r\n0,2.5,0.1\r\n1,1e-3,0.1\r\n") == [2.5, 0.001]


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (75, "1:15"), (3600, "1:00:00")])
def test_a_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


async def test_a_worker_that_has_fallen_silent_is_told_of(world: World) -> None:
    await told(await run(world.context(), "!train words"))
    record = next(iter(world.jobs.records.values()))
    silent = {"updated_at": now() - timedelta(minutes=2)}
    world.jobs.records[record.job.job] = record.model_copy(update={**RUNS, **silent, "result": None})
    reply = await run(world.context(), "!jobs")
    assert isinstance(reply, Card)
    assert "running: not heard of for 120 s" in reply.rows[0][-1]


def lines(moment: Moment) -> list[str]:
    return [button.line for button in moment.buttons]


async def test_what_can_be_done_about_a_job_is_offered_while_it_can(world: World) -> None:
    committed = Committed(manifest=ref("manifest.json"), steps=9, seconds=3, promote=False)
    world.jobs.course = [
        RUNS | {"benchmarks": [BASE]},
        {"state": JobState.PAUSING},
        {"state": JobState.CANCELLING},
        {"state": JobState.RUNNING, "committed": committed},
        succeeded(in_use=True),
    ]
    queued, base, runs, pauses, cancels, publishes, _epoch, ended = (await moments(world))[5:]
    (job,) = world.jobs.records
    assert lines(queued) == lines(base) == lines(runs) == [f"!pause {job}", f"!cancel {job}"]
    assert lines(pauses) == [f"!cancel {job}"]
    assert lines(cancels) == lines(publishes) == lines(ended) == []


async def test_a_job_that_is_paused_can_be_resumed_or_cancelled(world: World) -> None:
    world.jobs.course = [{"state": JobState.PAUSED}]
    *_, last = await moments(world)
    (job,) = world.jobs.records
    assert lines(last) == [f"!resume {job}", f"!cancel {job}"]


@pytest.mark.parametrize(("verdict", "line"), [("same", "!use main@1"), ("differs", "!use main@1 force=yes")])
async def test_whether_a_new_version_answers_is_asked_and_the_choice_is_kept(
    world: World, verdict: str, line: str
) -> None:
    parity = Parity.model_validate({"verdict": verdict, "reason": "2 of 5 probes are answered otherwise"})
    world.jobs.course = [succeeded(in_use=False, parity=parity)]
    *_, last = await moments(world)
    (job,) = world.jobs.records
    assert lines(last) == [line, f"!keep {job}"]
    kept = await run(world.context(), f"!keep {job}")
    assert kept == Text("The base model goes on answering. To change that: !use main@1", settles=True)
    shown = await run(world.context(), f"!job {job}")
    assert isinstance(shown, Card)
    assert ("answers", "not yet, 42 has kept the old one: !use main@1") in shown.rows
    record = world.jobs.records[job]
    assert choice(record) == (), "nobody is asked again"


async def test_what_a_job_has_not_made_cannot_be_declined(world: World) -> None:
    world.jobs.course = []
    await moments(world)
    (job,) = world.jobs.records
    reply = await run(world.context(), f"!keep {job}")
    assert isinstance(reply, Problem)
    assert reply.code == "no_model"


async def test_who_keeps_the_old_one_is_told_which_that_is(world: World) -> None:
    world.models.records = [
        ModelRecord(guild="local", name="main", versions=[version(1)], aliases={"prod": 1})
    ]
    world.models.chosen = "main"
    world.jobs.course = [succeeded(in_use=False, model="main@2")]
    await moments(world)
    (job,) = world.jobs.records
    kept = await run(world.context(), f"!keep {job}")
    assert isinstance(kept, Text)
    assert kept.text == "main@1 goes on answering. To change that: !use main@2"
