"""Chorus: model, objective and loop of the training process, without the process around them."""

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import Tokens
from chorus.trainer.backends import loop
from chorus.trainer.backends.ahead import planned
from chorus.trainer.backends.benchmark import Judge
from chorus.trainer.backends.ladder import first_rung
from chorus.trainer.backends.model import Model
from chorus.trainer.backends.objectives import Objective
from chorus.trainer.backends.ranks import Ranks
from chorus.trainer.backends.saving import Checkpoint, Identity, Saver, State
from chorus.trainer.training.lessons import Group, Judged, Lesson, Lessons
from chorus.trainer.training.recipe import Data, Recipe
from tests.benchmarks.training.lessons import lengths_of

JUDGED = 8  # chats: enough for the loop, which looks at the model before and after
NEVER = 1e9  # seconds
NOBODY = "0" * 64


class Ours:
    """One model and what it learns; it learns on with each call."""

    def __init__(self, model: Model, chats: list[Tokens], recipe: Recipe) -> None:
        self.model = model
        self._recipe = recipe
        self._lengths = lengths_of(chats)
        groups: list[Group] = [(Lesson(chat),) for chat in chats]
        judged = [Judged(lesson, []) for lesson, *_ in groups[:JUDGED]]
        data = Data(self._lengths)
        self._lessons = Lessons(groups, judged, held_out=True, data=data, objective="sft", shortened=0)

    def learn(self, steps: int) -> Sequence[int]:
        """Take so many steps; returns the tokens of each."""
        recipe = replace(self._recipe, steps=steps)
        groups = self._lessons.groups
        judge = Judge(AutoTokenizer.from_pretrained(STARTER_FOLDER), self._lessons)
        subject = loop.Subject(self.model, groups, Objective(recipe, groups), judge, recipe)
        nothing = Identity(recipe=NOBODY, data=NOBODY, base=NOBODY)
        begin = Checkpoint(State(identity=nothing, rung=first_rung(recipe, self.model.device)), {})
        with tempfile.TemporaryDirectory() as folder:
            around = loop.Around(
                tell=_ignore,
                asked=threading.Event(),
                ends_at=None,
                saver=Saver(Path(folder), _ignore, every=NEVER),
                snapshot=_ignore,
            )
            learned = loop.learn(subject, around, Ranks(), begin)
        assert learned.state.step == steps, learned.ended
        return [
            sum(self._lengths[index] for index in step.indices)
            for step in planned(recipe, self._lengths, done=0)
        ]


def _ignore(_: object) -> None:
    """Nobody is told."""
