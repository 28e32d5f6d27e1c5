"""The harness of inference's benchmark: its load, its figures, and what it serves; no engine runs here."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.generation import Delta, End, Usage
from chorus.common.errors import Unavailable
from tests.benchmarks.serving import load
from tests.benchmarks.serving.load import (
    Heard,
    Question,
    closed_loop,
    longest_gap,
    questions,
    summed_up,
    zipf,
)
from tests.benchmarks.serving.models import LLAMA_100M, write_noise, write_starter
from tests.benchmarks.serving.neighbours import compared
from tests.benchmarks.serving.peers import serve
from tests.benchmarks.serving.speed import largest_difference
from tests.benchmarks.serving.swapping import wrong_ones

USAGE = Usage(prompt_tokens=3, completion_tokens=7)
END = End(model="a@1", finish_reason="length", usage=USAGE)


class Service:
    """Answers in place of the bus, and counts how many ask at once."""

    def __init__(self, *replies: object) -> None:
        self.replies = replies
        self.asking = self.most = 0

    async def ask_stream(self, *_: object, **__: object) -> AsyncGenerator[object, None]:
        self.asking += 1
        self.most = max(self.most, self.asking)
        await asyncio.sleep(0)
        for reply in self.replies:
            if isinstance(reply, Exception):
                raise reply
            yield reply
        self.asking -= 1


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch):
    def put(*replies: object) -> Service:
        service = Service(*replies)
        monkeypatch.setattr(load, "ask_stream", service.ask_stream)
        return service

    return put


async def test_a_closed_loop_asks_each_question_once_and_so_many_at_a_time(answering) -> None:
    service = answering(Delta(i=0, text="a"), Delta(i=1, text="b"), END)
    asked = [Question(str(number), 7) for number in range(20)]
    heard = await closed_loop(None, asked, at_once=4)
    assert Counter(answer.question for answer in heard) == Counter(asked)
    assert service.most == 4
    assert {(answer.text, answer.tokens, answer.model) for answer in heard} == {("ab", 7, "a@1")}
    assert all(answer.first is not None and 0 < answer.first <= answer.whole for answer in heard)


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([Delta(i=0, text="a")], "no_end"),
        ([Unavailable("Full.", code="busy")], "busy"),
        ([Delta(i=0, text="a"), Unavailable("Dead.", code="engine_died")], "engine_died"),
    ],
)
async def test_what_has_no_end_is_an_error(answering, replies: list[object], error: str) -> None:
    answering(*replies)
    (heard,) = await closed_loop(None, [Question("?", 7)], at_once=1)
    assert heard.error == error
    with pytest.raises(AssertionError, match=error):
        summed_up([heard])


def heard(sent: float, whole: float, **others: object) -> Heard:
    return Heard(Question("?", 7), sent, whole, **{"first": whole / 2, "tokens": 7, **others})


def test_a_round_lasts_from_the_first_question_to_the_last_reply() -> None:
    found = summed_up([heard(10, 1), heard(10.5, 3), heard(11, 1)])
    assert found.tokens_per_s == pytest.approx(21 / 3.5)
    assert found.firsts == [0.5, 1.5, 0.5]


def test_the_longest_gap_is_between_the_ends_of_replies() -> None:
    assert longest_gap([heard(0, 5), heard(1, 1), heard(3, 1)]) == 2
    assert longest_gap([heard(0, 5)]) == 0


def test_the_first_names_are_drawn_most() -> None:
    names = [str(number) for number in range(200)]
    drawn = Counter(zipf(names, 20_000, seed=0))
    assert drawn["0"] / drawn["9"] == pytest.approx(10, rel=0.25)
    assert sum(drawn[name] for name in names[:8]) / 20_000 == pytest.approx(0.46, abs=0.03)
    assert zipf(names, 50, seed=1) == zipf(names, 50, seed=1)


def test_questions_differ_and_are_the_same_each_time() -> None:
    texts = questions(100, seed=1)
    assert len(set(texts)) == 100
    assert texts == questions(100, seed=1) != questions(100, seed=2)
    assert {len(text.split()) for text in texts} == {load.WORDS}


def test_neighbours_are_compared_at_their_95th_percentiles() -> None:
    ratio, told, beside = compared([10.0] * 99 + [99.0], [5.0] * 94 + [30.0] * 6, 2)
    assert ratio == 3
    assert "p50 5 ms" in told
    assert "p95 10 ms" in beside


def test_scores_are_compared_up_to_where_sides_say_other_things() -> None:
    ours = [[(5, -1.0), (6, -2.0), (7, -9.0)]]
    peers = [[(5, -1.25), (6, -2.0), (8, -1.0)]]
    assert largest_difference(ours, peers) == 0.25


def test_a_reply_in_two_voices_is_found() -> None:
    said = {"a@1": "yes yes", "a@2": "no no"}
    replies = [("yes yes", "a@1"), ("no no", "a@2"), ("yes no", "a@1"), ("no no", "a@1")]
    found = [heard(0, 1, text=text, model=model) for text, model in replies]
    failed = heard(0, 1, error="engine_died")
    assert wrong_ones([*found, failed], said.__getitem__) == [
        "mixed: 'yes no' by a@1",
        "mixed: 'no no' by a@1",
        "engine_died",
    ]


async def test_a_peer_answers_one_order_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def double(order: dict) -> dict:
        return {"twice": 2 * order["number"]}

    (tmp_path / "orders").write_text('{"number": 1}\n{"number": 4}\n')
    with (tmp_path / "orders").open() as orders, (tmp_path / "answers").open("w") as answers:
        monkeypatch.setattr("sys.stdin", orders)
        await serve(double, os.dup(answers.fileno()))
    lines = (tmp_path / "answers").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"ready": True}, {"twice": 2}, {"twice": 8}]


def test_the_benchmarks_starter_never_ends_a_reply_and_is_else_the_starter(tmp_path: Path) -> None:
    base = write_starter(tmp_path / "starter")
    (name,) = (name for name in load_file(base / "model.safetensors") if "embed" in name)
    ours, starters = (load_file(f / "model.safetensors")[name] for f in (base, STARTER_FOLDER))
    tokenizer = AutoTokenizer.from_pretrained(base)
    assert not ours[tokenizer.eos_token_id].any()
    assert starters[tokenizer.eos_token_id].any()
    assert (ours[4:] == starters[4:]).all()


def test_an_adapter_of_noise_has_both_parts_for_every_linear_layer(tmp_path: Path) -> None:
    LLAMA_100M.save_pretrained(tmp_path / "base")
    folders = [
        write_noise(tmp_path / "base", tmp_path / str(at), seed=seed) for at, seed in enumerate((1, 1, 2))
    ]
    once, again, other = (load_file(folder / "adapter_model.safetensors") for folder in folders)
    assert len(once) == 12 * 7 * 2
    assert all((once[name] == again[name]).all() for name in once)
    assert not all((once[name] == other[name]).all() for name in once)
    config = json.loads((folders[0] / "adapter_config.json").read_text())
    assert (config["r"], config["bias"], config["use_dora"]) == (16, "none", False)
