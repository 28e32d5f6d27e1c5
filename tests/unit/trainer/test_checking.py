"""What is wrong with a training is found before it is queued, all of it at once."""

from datetime import timedelta

import pytest

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import BaseModelId, Manifest, ModelVersion, Stale
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import CheckTraining, JobError, JobRecord, JobState, Parent
from chorus.trainer.settings import TrainerSettings
from chorus.trainer.training.checking import Before, Offer, problems
from chorus.trainer.training.quota import seconds_used
from tests.unit.trainer.made import AT, BASE, SHA256, a_job, made

HERE = Offer(bases={"starter": "starter", "small": "/models/small"}, max_rank=32, gpu=False)
PARENT = Parent(model="main@2", manifest=ObjectRef(bucket="models", key="1/main", size=1, sha256=SHA256))


def found(
    offer: Offer = HERE,
    *,
    before: Before | None = None,
    jobs: tuple[JobRecord, ...] = (),
    wishes: dict[str, object] | None = None,
    **changes: object,
) -> dict[str, JobError]:
    sums: dict[str, object] = {"guild": "1", "examples": 100, "wanted": 100, "tokens": 3000}
    hyperparameters = Hyperparameters.model_validate(wishes or {})
    asked = CheckTraining.model_validate({**sums, "hyperparameters": hyperparameters, **changes})
    return {problem.code: problem for problem in problems(asked, offer, before=before, jobs=jobs, at=AT)}


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"rank": 32, "alpha": 64, "learning_rate": 0.01, "max_seconds": 60},
        {"method": "full", "learning_rate": 0.001},
    ],
)
def test_with_most_trainings_nothing_is_wrong(wishes: dict[str, object]) -> None:
    assert found(wishes=wishes) == {}


@pytest.mark.parametrize(
    ("code", "param", "wishes"),
    [
        ("rank_too_high", "rank", {"rank": 64}),
        ("qlora_needs_gpu", "method", {"method": "qlora"}),
        ("no_adapter", "rank", {"method": "full", "rank": 8}),
        ("no_adapter", "alpha", {"method": "full", "alpha": 8}),
        ("learning_rate_too_high", "learning_rate", {"learning_rate": 0.5}),
        ("learning_rate_too_high", "learning_rate", {"learning_rate": 0.05, "method": "full"}),
        ("no_price", "max_cost", {"max_cost": 2}),
        ("too_little_time", "max_seconds", {"max_seconds": 0.01}),
        ("nothing_unwanted", "objective", {"objective": "dpo"}),
        ("nothing_unwanted", "objective", {"objective": "kto"}),
        ("nothing_unwanted", "objective", {"objective": "apo"}),
    ],
)
def test_each_wish_that_cannot_be_met_is_named(code: str, param: str, wishes: dict[str, object]) -> None:
    (problem,) = found(wishes=wishes).values()
    assert (problem.code, problem.param) == (code, param)
    assert problem.message.endswith(".")


def test_all_of_it_is_said_at_once() -> None:
    wishes = {"method": "qlora", "rank": 64, "max_cost": 1, "objective": "dpo"}
    wrong = found(wishes=wishes, base="other", parent=PARENT)
    assert list(wrong) == [
        *(
            "unknown_base",
            "qlora_needs_gpu",
            "rank_too_high",
            "nothing_unwanted",
            "no_price",
            "unknown_parent",
        )
    ]


def test_an_unknown_base_is_refused_with_the_list_and_without_paths() -> None:
    message = found(base="gpt2")["unknown_base"].message
    assert "'gpt2'" in message
    assert "starter, small" in message
    assert "/models" not in message
    assert found(base="small") == {}


def test_what_another_machine_has_is_not_judged_here() -> None:
    elsewhere = Offer(bases={"starter": "starter"}, max_rank=32)
    assert found(elsewhere, wishes={"method": "qlora"}) == {}


def test_preferences_need_unwanted_replies_and_nothing_is_learned_from_them_alone() -> None:
    assert found(wanted=50, wishes={"objective": "dpo"}) == {}
    assert set(found(wanted=0, wishes={"objective": "dpo"})) == {"only_unwanted"}
    assert set(found(examples=0, wanted=0, tokens=0)) == {"no_data"}


def test_a_spend_limit_counts_with_the_operators_price() -> None:
    priced = Offer(bases={"starter": "starter"}, max_rank=32, price_per_hour=2.0)
    assert found(priced, wishes={"max_cost": 1}) == {}
    assert set(found(priced, wishes={"max_cost": 0.0001})) == {"too_little_time"}


# --- going on from a version ----------------------------------------------------------------------
def before_it(form: str = "adapter", method: str = "lora", **changes: object) -> Before:
    facts = made(method=method, rank=16, hyperparameters={"alpha": 32.0}).model_dump()
    manifest = {**facts, "guild": "1", "name": "main", "files": [], "datasets": [], "contributors": []}
    manifest |= {"form": form, "job": "aaaaaaaaaa", "created_at": AT}
    version = ModelVersion(
        version=2,
        manifest=PARENT.manifest,
        form=form,  # type: ignore[arg-type]
        base=BASE,
        dataset="club@1",
        job="aaaaaaaaaa",
        created_at=AT,
    )
    return Before(version.model_copy(update=changes), Manifest.model_validate(manifest))


@pytest.mark.parametrize(
    ("before", "wishes"),
    [
        (before_it(), {}),
        (before_it(), {"method": "qlora", "rank": 16, "alpha": 32}),
        (before_it("whole", "full"), {"method": "full"}),
        (before_it("whole", "lora"), {"method": "lora", "rank": 8}),
    ],
)
def test_a_version_is_gone_on_from_by_its_own_method(before: Before, wishes: dict[str, object]) -> None:
    gpu = Offer(bases=HERE.bases, max_rank=32, gpu=True)
    assert found(gpu, before=before, parent=PARENT, wishes=wishes) == {}


@pytest.mark.parametrize(
    ("code", "before", "wishes"),
    [
        ("other_method", before_it(), {"method": "full"}),
        ("other_method", before_it("whole", "full"), {"method": "lora"}),
        ("other_rank", before_it(), {"rank": 8}),
        ("other_alpha", before_it(), {"alpha": 16}),
        ("other_base", before_it(base=BaseModelId(name="gone", fingerprint=SHA256)), {}),
        ("model_withdrawn", before_it(stale=Stale(since=AT, blocked_at=AT)), {}),
        ("unknown_parent", None, {}),
    ],
)
def test_what_does_not_fit_to_the_version_before_is_named(
    code: str, before: Before | None, wishes: dict[str, object]
) -> None:
    assert set(found(before=before, parent=PARENT, wishes=wishes)) == {code}


def test_another_base_than_the_versions_is_refused() -> None:
    assert "not on small" in found(before=before_it(), parent=PARENT, base="small")["other_base"].message


# --- the quota ------------------------------------------------------------------------------------
def worked(seconds: float, hours_ago: float) -> JobRecord:
    at = AT - timedelta(hours=hours_ago)
    return JobRecord(state=JobState.SUCCEEDED, job=a_job(), seconds=seconds, updated_at=at)


def test_a_guilds_time_is_that_of_the_last_day() -> None:
    jobs = (worked(3600, 1), worked(600, 30), worked(7200, 23.5))
    assert seconds_used(jobs, AT) == 3600 + 1800, "of the last one, only half an hour is in these 24"


def test_who_has_used_it_up_is_told_when_there_is_time_again() -> None:
    limited = Offer(bases=HERE.bases, max_rank=32, guild_seconds_per_day=5400)
    assert found(limited, jobs=(worked(3600, 1),)) == {}
    problem = found(limited, jobs=(worked(3600, 1), worked(3600, 22)))["quota_used_up"]
    assert "1.5 hours" in problem.message
    free = AT + timedelta(hours=1, minutes=31)  # 23 to 22 hours ago: half of it is out of the day by then
    assert f"{free:%H:%M} UTC" in problem.message


def test_the_operators_settings_say_what_there_is(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    settings = TrainerSettings(base_models=["small", "owner/large"], role="datasets", max_rank=8)
    offer = Offer.of(settings)
    assert list(offer.bases) == ["starter", "small", "owner/large"]
    assert (offer.base(None), offer.base("owner/large"), offer.base("gpt2")) == (
        "starter",
        "owner/large",
        None,
    )
    assert (offer.gpu, offer.max_rank) == (None, 8)
