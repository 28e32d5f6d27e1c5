"""docs/deploying.md: what it tells people to type exists."""

import re
from pathlib import Path

import pytest

from tests.deploy.test_compose import SERVICES
from tests.deploy.test_docker import ROOT, stages
from tests.deploy.test_kubernetes import FOLDER as KUBERNETES

TEXT = (ROOT / "docs/deploying.md").read_text("utf-8")
COMMANDS = "\n".join(re.findall(r"^```\w*\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"(?<![\w/])deploy/[\w./-]+", COMMANDS))
    assert named
    own = "deploy/kubernetes/overlays/mine"  # an example of one's own
    assert not [path for path in named if not path.startswith(own) and not (ROOT / path).exists()]


def test_every_container_that_is_run_exists() -> None:
    run = re.findall(r"docker compose run (?:--\S+ |CHORUS_\S+ )*(\w+)", COMMANDS)
    assert set(run) == {"setup", "operator", "gateway"} <= SERVICES.keys()
    assert set(re.findall(r"--target (\w+)", COMMANDS)) <= stages().keys()


def test_the_chart_is_the_one_that_the_values_are_for() -> None:
    told = set(re.findall(r"--version (\S+)", COMMANDS))
    assert told == set(re.findall(r"--version (\S+)", (KUBERNETES / "nats/values.yaml").read_text("utf-8")))


@pytest.mark.parametrize("overlay", ["cpu", "gpu", "ha"])
def test_every_overlay_is_told_of(overlay: str) -> None:
    assert f"| `overlays/{overlay}` |" in TEXT
    assert (Path(KUBERNETES) / "overlays" / overlay).is_dir()
