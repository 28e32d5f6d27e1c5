"""`!test`, `!errors` and `chorus ask` with a real model: from what it gets wrong to data that mends it."""

import os
import subprocess
import sysconfig
from pathlib import Path

from tests.support.chorus import ANSWER_WITHIN, RunningChorus


def test_what_a_test_finds_wrong_becomes_data(chorus: RunningChorus, tmp_path: Path) -> None:
    records = '[{"text": "Where is the key?", "label": "Under the anchor."}, {"prompt": "Wifi?"}]'
    shown = chorus.say(f"!test model=base max_tokens=8 '{records}'")
    told = "\n".join(shown)
    assert "Test complete. Predictions: " in told, told
    assert "0 of 1 right (0%), log-likelihood of what was expected -" in told, told
    assert "1 wrong or failed is kept for 30 days: !errors" in told

    assert "Where is the key?" in "\n".join(chorus.say("!errors count=1 model=base"))
    errors = tmp_path / "errors.json"
    assert f"✓ {errors}" in "\n".join(chorus.say(f"!errors count=1 to={errors}"))
    imported = "\n".join(chorus.say(f"!import file={errors} name=mended"))
    assert "Dataset mended@1: 1 example of conversation JSON." in imported, imported
    chorus.say("!delete_dataset mended sure=True")


def test_a_script_asks_and_gets_the_answer_alone(chorus: RunningChorus) -> None:
    done = subprocess.run(
        [
            str(Path(sysconfig.get_path("scripts")) / "chorus"),
            "ask",
            "--model",
            "base",
            "--max-tokens=3",
            "-",
        ],
        env={**os.environ, "CHORUS_DATA": str(chorus.folder)},
        cwd=chorus.folder,
        input="When do you\nopen?",
        capture_output=True,
        text=True,
        timeout=ANSWER_WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.strip()
    assert "Cut off" not in done.stdout, "what is to be known of an answer is no part of it"
