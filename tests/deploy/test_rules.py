"""Prometheus's rules: the same on Kubernetes, what can be seen on one machine, and whose fault it was."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml
from scripts import make_rules

from chorus.common.errors import (
    Cancelled,
    Conflict,
    InternalError,
    InvalidInput,
    NotFound,
    NotPermitted,
    QueueFull,
    TimedOut,
    TooLarge,
    Unavailable,
)
from chorus.common.objects import CorruptObject
from tests.support.prometheus import ROOT, RULES, rules

SERVICES = [ROOT / "services" / name / "src" for name in ("gateway", "inference", "speech", "trainer")]
COMMON = ROOT / "libs/common/src/chorus/common"

THEIR_OWN = {
    "busy", "voice_busy",  # more than is done: RequestsTurnedAway
    "engine_asleep",  # a training has the GPU for a while, as whoever runs it has chosen
    "ffmpeg_missing", "voice_missing",  # the machine is not set up for it
    "not_open", "unsupported_model",  # of programs and of `chorus …`, which are no commands
}  # fmt: skip
"""Codes of what is unavailable or broken, and yet is no fault that somebody should be called for."""
OF_BOTH = {"no_room_on_disk", "out_of_memory"}
"""Codes of what somebody has asked too much of, and of what the machine has too little of."""
KINDS = (
    InvalidInput, NotPermitted, NotFound, Conflict, TooLarge, QueueFull, Cancelled,
    InternalError, CorruptObject, Unavailable, TimedOut,
)  # fmt: skip


def test_kubernetes_has_the_same_rules() -> None:
    assert make_rules.TARGET.read_text("utf-8") == make_rules.rules(), "out of date: `make docs`"
    objects = {each["metadata"]["name"]: each for each in yaml.safe_load_all(make_rules.rules())}
    assert objects.keys() == {path.stem for path in RULES.glob("*.yml")}
    for name, each in objects.items():
        assert each["kind"] == "PrometheusRule"
        assert each["spec"] == yaml.safe_load((RULES / f"{name}.yml").read_text("utf-8"))
    base = yaml.safe_load((make_rules.TARGET.parent / "kustomization.yaml").read_text("utf-8"))
    assert make_rules.TARGET.name in base["resources"]


def test_one_machine_has_all_rules_but_those_on_what_nothing_tells_there() -> None:
    config = yaml.safe_load((RULES.parent / "one-machine.yml").read_text("utf-8"))
    loaded = {RULES.parent / name for name in config["rule_files"]}
    (left_out,) = set(RULES.glob("*.yml")) - loaded
    assert 'job="nats"' in left_out.read_text("utf-8")
    assert not [path for path in loaded if re.search(r'\bnats_\w|job="nats"', path.read_text("utf-8"))]


def test_a_command_fails_by_no_fault_of_theirs_with_each_code_of_what_is_away_late_or_broken() -> None:
    (rule,) = (rule for rule in rules() if rule.get("record") == "chorus:commands_failed:ratio10m")
    told = re.search(r'outcome=~"([^"]+)"', rule["expr"])
    assert told
    ours, theirs = codes(at_fault=True), codes(at_fault=False)
    assert {code for code in ours if not re.fullmatch(told[1], code)} == THEIR_OWN
    assert {code for code in theirs - ours if re.fullmatch(told[1], code)} == set()
    assert {code for code in theirs & ours if re.fullmatch(told[1], code)} == OF_BOTH
    for pattern in re.split(r"\|(?![^(]*\))", told[1]):
        assert [code for code in ours if re.fullmatch(pattern, code)], f"{pattern} is no code any more"


def codes(*, at_fault: bool) -> set[str]:
    """Codes of errors that are raised by the services: those of 500 and more, or the others."""
    kinds = {kind.__name__: kind for kind in KINDS if (kind.status >= 500) == at_fault}
    folders = [*SERVICES, COMMON / "bus"]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    return {kind.default_code for kind in kinds.values()} | {
        code for path in files for code in raised(path, set(kinds))
    }


def raised(path: Path, kinds: set[str]) -> Iterator[str]:
    """Codes that stand in calls of these classes; a part that is filled in is `hear`, say."""
    for node in ast.walk(tree(path)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds):
            continue
        for told in (keyword.value for keyword in node.keywords if keyword.arg == "code"):
            choices = [told.body, told.orelse] if isinstance(told, ast.IfExp) else [told]
            for choice in choices:
                if isinstance(choice, ast.Constant):
                    yield str(choice.value)
                elif isinstance(choice, ast.JoinedStr):
                    parts = (str(p.value) if isinstance(p, ast.Constant) else "hear" for p in choice.values)
                    yield "".join(parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))
