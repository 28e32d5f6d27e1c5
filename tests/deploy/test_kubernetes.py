"""deploy/kubernetes: every overlay builds, what it builds is valid, and every pod is locked in.

Kubernetes' own kinds are checked against its schemas. KEDA's and the Prometheus operator's are checked
against the types that npm has of theirs (`test_custom_kinds_…`), and here for what matters to us.
"""

import json
import re
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import CollectorRegistry

from chorus.common.contracts.topology import TRAIN, TRAINER_CONSUMER
from chorus.common.local.deployment import make_keys
from chorus.gateway.settings import GatewaySettings
from chorus.inference.metrics import InferenceMetrics
from chorus.trainer.training.run import PAUSE_WITHIN
from tests.deploy.test_compose import SETTINGS
from tests.deploy.test_docker import ROOT, SERVICES
from tests.support.debian import needs

FOLDER = ROOT / "deploy/kubernetes"
OVERLAYS = ("cpu", "gpu", "ha")
KUBERNETES = "1.37"
VLLM_METRICS = Path(sysconfig.get_path("purelib")) / "vllm/v1/metrics/loggers.py"
CUSTOM = ("keda.sh/", "monitoring.coreos.com/")
NODE_TYPES = ("@kubernetes-models/keda@2.0.0", "@kubernetes-models/prometheus-operator@6.0.0")
CHECK = """
import { readFileSync } from "node:fs";
import { ScaledJob, ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/index";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import { PrometheusRule } from
    "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
const kinds = { ScaledJob, ScaledObject, PodMonitor, PrometheusRule };
for (const object of JSON.parse(readFileSync(0))) new kinds[object.kind](object).validate();
"""

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def with_kubectl() -> None:
    """Skips a test that cannot be without it."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed: nothing is built")


@cache
def built(overlay: str) -> list[dict[str, Any]]:
    """All objects of an overlay."""
    return kustomized(FOLDER / "overlays" / overlay)


def kustomized(folder: Path) -> list[dict[str, Any]]:
    with_kubectl()
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in built(overlay) if each["kind"] in kinds}


def pods(overlay: str) -> dict[str, dict[str, Any]]:
    """The pods' templates, by what makes them."""
    makers = of_kind(overlay, "Deployment", "StatefulSet", "Job")
    found = {name: each["spec"]["template"] for name, each in makers.items()}
    return found | {"jobs": of_kind(overlay, "ScaledJob")["jobs"]["spec"]["jobTargetRef"]["template"]}


def environment(overlay: str, pod: dict[str, Any]) -> dict[str, str]:
    """What its one container is told."""
    (container,) = pod["spec"]["containers"]
    (told,) = container["envFrom"]
    settings = of_kind(overlay, "ConfigMap")[told["configMapRef"]["name"]]["data"]
    return {**settings, **{each["name"]: each.get("value", "") for each in container.get("env", [])}}


# --- valid ---------------------------------------------------------------------------------------
@each_overlay
def test_an_overlay_holds_every_part_and_has_the_form_of_its_kinds(overlay: str) -> None:
    assert pods(overlay).keys() == {"gateway", "speech", "datasets", "jobs", "inference", "provision"}
    for each in built(overlay):
        if not each["apiVersion"].startswith(CUSTOM):
            kubernetes_validate.validate(each, KUBERNETES, strict=True)
    job = of_kind(overlay, "ScaledJob")["jobs"]["spec"]["jobTargetRef"]
    as_a_job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "jobs"}, "spec": job}
    kubernetes_validate.validate(as_a_job, KUBERNETES, strict=True)


@pytest.mark.system
@each_overlay
def test_custom_kinds_have_the_form_that_their_operators_read(overlay: str, tmp_path: Path) -> None:
    assert shutil.which("kubectl"), (
        "kubectl is missing, and Debian's is too old: https://kubernetes.io/docs/tasks/tools"
    )
    needs("npm", "npm")
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", *NODE_TYPES], cwd=tmp_path, check=True)
    (tmp_path / "check.mjs").write_text(CHECK)
    custom = [each for each in built(overlay) if each["apiVersion"].startswith(CUSTOM)]
    assert {each["kind"] for each in custom} == {"ScaledJob", "ScaledObject", "PodMonitor", "PrometheusRule"}
    subprocess.run(["node", "check.mjs"], cwd=tmp_path, input=json.dumps(custom), text=True, check=True)


def test_the_pods_of_trainings_are_locked_in_as_all_others() -> None:
    of_all, of_jobs = (
        yaml.safe_load((FOLDER / f"base/{name}.yaml").read_text("utf-8"))
        for name in ("contained", "contained-jobs")
    )
    for each in of_jobs:
        each["path"] = each["path"].replace("/jobTargetRef/", "/")
    assert of_jobs == of_all


@each_overlay
def test_everything_that_is_named_is_there(overlay: str, tmp_path: Path) -> None:
    made = secrets(tmp_path)
    priorities = of_kind(overlay, "PriorityClass")
    for name, pod in pods(overlay).items():
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            each["name"] for each in spec["volumes"]
        }
        assert spec.get("priorityClassName", "chorus-answers") in priorities
        secret, ca = next(
            each["projected"]["sources"] for each in spec["volumes"] if each["name"] == "secrets"
        )
        user = {"datasets": "trainer", "jobs": "trainer", "provision": "provisioner"}.get(name, name)
        assert secret == {"secret": {"name": f"chorus-{user}"}}
        keys = made[f"chorus-{user}"] | made[ca["configMap"]["name"]]
        assert {"chorus_s3_access_key", "chorus_s3_secret_key"} <= keys
        for setting in ("CHORUS_NATS_CA", "CHORUS_NATS_NKEY_FILE"):
            assert environment(overlay, pod)[setting].removeprefix("/run/secrets/chorus/") in keys
    for each in built(overlay):
        for selector in selectors(each):
            assert any(matches(selector, pod) for pod in pods(overlay).values()), each["metadata"]["name"]


@each_overlay
def test_every_variable_of_ours_is_a_setting(overlay: str) -> None:
    for pod in pods(overlay).values():
        ours = {name for name in environment(overlay, pod) if name.startswith("CHORUS_")}
        assert ours <= SETTINGS | {"CHORUS_SECRETS_DIR"}


# --- locked in -----------------------------------------------------------------------------------
@each_overlay
def test_a_pod_can_do_nothing_beside_its_work(overlay: str) -> None:
    for pod in pods(overlay).values():
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert re.fullmatch(
            r"chorus/(gateway|speech|trainer|inference):0\.\d+\.\d+(-gpu)?", container["image"]
        )
        assert pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "chorus"


@each_overlay
def test_nobody_is_talked_to_but_who_has_to_be(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    entered = {name: each["spec"]["ingress"] for name, each in policies.items() if "ingress" in each["spec"]}
    assert entered.keys() == {"metrics", "nats"}, "no service is called by another"
    (metrics,) = entered["metrics"]
    assert metrics["ports"] == [{"port": 9090}]
    ports = [port["port"] for rule in entered["nats"] for port in rule["ports"]]
    assert ports == [4222, 6222, 8222, 7777]


# --- kept up -------------------------------------------------------------------------------------
@each_overlay
def test_what_answers_is_probed_spread_and_never_wholly_evicted(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    grace = float(GatewaySettings.model_fields["grace"].default)
    for name, maker in of_kind(overlay, "Deployment", "StatefulSet").items():
        spec = maker["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert spec["terminationGracePeriodSeconds"] >= 2 * grace
        (spread,) = spec["topologySpreadConstraints"]
        assert matches(spread["labelSelector"], maker["spec"]["template"])
        assert budgets[name]["spec"]["maxUnavailable"] == 1
    assert of_kind(overlay, "PodMonitor").keys() == {*SERVICES, "datasets", "jobs", "nats"} - {"trainer"}


@each_overlay
def test_each_training_has_a_pod_that_ends_with_it(overlay: str) -> None:
    jobs = of_kind(overlay, "ScaledJob")["jobs"]["spec"]
    (trigger,) = jobs["triggers"]
    assert (trigger["metadata"]["stream"], trigger["metadata"]["consumer"]) == (TRAIN, TRAINER_CONSUMER)
    assert trigger["metadata"]["lagThreshold"] == "1"
    assert jobs["rollout"]["strategy"] == "gradual"
    template = jobs["jobTargetRef"]["template"]["spec"]
    assert template["containers"][0]["command"] == ["python", "-m", "chorus.trainer", "--once"]
    assert template["restartPolicy"] == "Never"
    grace = float(environment(overlay, pods(overlay)["jobs"])["CHORUS_GRACE"])
    assert 0.7 * grace >= PAUSE_WITHIN, "time for a checkpoint"
    assert template["terminationGracePeriodSeconds"] > grace + 20


@each_overlay
def test_engines_are_scaled_by_metrics_that_exist(overlay: str) -> None:
    scaled = of_kind(overlay, "ScaledObject")["inference"]["spec"]
    assert scaled["scaleTargetRef"]["name"] in of_kind(overlay, "Deployment")
    assert "replicas" not in of_kind(overlay, "Deployment")["inference"]["spec"], "that is KEDA's"
    query = scaled["triggers"][0]["metadata"]["query"]
    registry = CollectorRegistry()
    InferenceMetrics(registry)
    names = set(re.findall(r"(\w+:?\w+){", query))
    assert names == {"chorus_requests_waiting", "vllm:num_requests_waiting"}
    assert "chorus_requests_waiting" in {family.name for family in registry.collect()}
    assert '"vllm:num_requests_waiting"' in VLLM_METRICS.read_text("utf-8")


def test_in_the_highly_available_overlay_no_machine_is_missed() -> None:
    makers = of_kind("ha", "Deployment", "StatefulSet")
    assert all(maker["spec"].get("replicas", 2) == 2 for maker in makers.values())
    for maker in makers.values():
        (spread,) = maker["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    told = {each["name"]: each for each in pods("ha")["gateway"]["spec"]["containers"][0]["env"]}
    shards = told["CHORUS_DISCORD_SHARDS"]["value"].replace("$(INDEX)", "1")
    assert GatewaySettings(discord_shards=shards).shards is not None
    assert environment("ha", pods("ha")["provision"])["CHORUS_NATS_REPLICAS"] == "3"


def secrets(folder: Path) -> dict[str, set[str]]:
    """The keys of what secrets.sh makes, by name."""
    with_kubectl()
    make_keys(folder, ["nats"])
    (folder / "discord_token").write_text("token")
    done = subprocess.run(
        [str(FOLDER / "secrets.sh"), str(folder)], capture_output=True, text=True, check=True
    )
    made = [each for each in yaml.safe_load_all(done.stdout) if each]
    return {each["metadata"]["name"]: set(each["data"]) for each in made}


def selectors(each: dict[str, Any]) -> list[dict[str, Any]]:
    """Whom an object of ours is about, where that is pods of ours."""
    if each["kind"] not in {"PodDisruptionBudget", "PodMonitor", "NetworkPolicy"}:
        return []
    selector = each["spec"].get("selector") or each["spec"]["podSelector"]
    return [] if selector.get("matchLabels", {}).get("app.kubernetes.io/name") == "nats" else [selector]


def matches(selector: dict[str, Any], pod: dict[str, Any]) -> bool:
    return selector.get("matchLabels", {}).items() <= pod["metadata"]["labels"].items()
