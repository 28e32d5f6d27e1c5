"""A whole model on the real stack: trained, compared with its training, chosen, and asked by its name."""

import json
from pathlib import Path

from chorus.common.bus.calls import ask
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.generation import SERVED, ListServed, Served
from chorus.common.contracts.models import ModelRecord, Stale, model_key
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.topology import MODELS
from chorus.common.contracts.wire import now
from tests.support.chorus import RunningChorus


async def test_a_whole_model_is_asked_like_any_other(chorus: RunningChorus, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps([{"user": "Who keeps the light?", "bot": "The lighthouse owl."}]))
    shown = "\n".join(chorus.say(f"!train file={path} model=owl method=full"))
    assert "owl@1" in shown
    async with chorus.connected("trainer") as trainer, chorus.connected("operator") as operator:
        records = await open_bucket(trainer, MODELS, ModelRecord)
        entry = await records.get(model_key(LOCAL, "owl"))
        assert entry is not None
        (version,) = entry.value.versions
        assert version.form == "whole"
        assert version.parity is not None
        assert version.parity.verdict == "same", version.parity.reason

        assert "The lighthouse owl." in "\n".join(chorus.say("!ask model=owl@1 Who keeps the light?"))
        served = await ask(operator, SERVED, ListServed(guild=LOCAL), Served)
        (owl,) = [each for each in served.models if each.model == "owl@1"]
        assert (owl.form, owl.state, owl.in_use) == ("whole", "resident", 0)
        assert owl.hits > 1, "the questions of the comparison, and ours"

        gone = Stale(since=now(), blocked_at=now())
        await records.change(model_key(LOCAL, "owl"), lambda old: old.marked(gone, {version.job}))
    assert "[model_withdrawn]" in "\n".join(chorus.say("!ask model=owl@1 Who keeps the light?"))
