"""deploy/kubernetes: what stands beside Chorus's services, and the ways to it: NATS, a store, a collector."""

import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from chorus.common.contracts.permissions import SYSTEM_USERS, USERS
from tests.deploy.test_compose import SETTINGS
from tests.deploy.test_docker import ROOT
from tests.deploy.test_kubernetes import FOLDER, KUBERNETES, built, environment, kustomized, pods, secrets


# --- what services may go to ---------------------------------------------------------------------
def test_the_store_is_looked_for_where_its_chart_puts_it_and_can_be_reached() -> None:
    settings = environment("cpu", pods("cpu")["gateway"])
    assert way_to(settings["CHORUS_S3_ENDPOINT"], built("cpu"))
    values = yaml.safe_load((FOLDER / "seaweedfs/values.yaml").read_text("utf-8"))
    namespace, policy = yaml.safe_load_all((FOLDER / "seaweedfs/namespace.yaml").read_text("utf-8"))
    s3, name = values["filer"]["s3"], namespace["metadata"]["name"]
    assert s3["enabled"]
    assert s3["enableAuth"]
    assert settings["CHORUS_S3_ENDPOINT"] == f"http://seaweedfs-s3.{name}:{s3['port']}"
    for each in (namespace, policy):
        kubernetes_validate.validate(each, KUBERNETES, strict=True)
    _, from_chorus = policy["spec"]["ingress"]
    assert policy["metadata"]["namespace"] == name
    assert from_chorus["ports"] == [{"port": s3["port"]}], "the others ask nobody who they are"


@pytest.mark.parametrize(
    ("component", "setting", "address"),
    [
        ("minio", "CHORUS_S3_ENDPOINT", "http://minio.minio:9000"),
        ("otlp", "CHORUS_OTLP_ENDPOINT", "http://otel-collector.monitoring:4318"),
    ],
)
def test_a_component_tells_an_address_and_opens_the_way(
    component: str, setting: str, address: str, tmp_path: Path
) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    mine = tmp_path / "kubernetes/overlays/mine"
    mine.mkdir()
    wanted = {"resources": ["../cpu"], "components": [f"../../components/{component}"]}
    (mine / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    objects = kustomized(mine)
    (settings,) = (each["data"] for each in objects if each["kind"] == "ConfigMap")
    assert settings[setting] == address
    assert setting in SETTINGS
    assert way_to(address, objects)
    assert not way_to(address, built("cpu"))


def way_to(address: str, objects: list[dict[str, Any]]) -> bool:
    """Whether all services may go to an address inside: `http://service.namespace:port`."""
    _, host, port = re.split(r"://|:", address)
    space = {"matchLabels": {"kubernetes.io/metadata.name": host.split(".")[1]}}
    wanted = {"to": [{"namespaceSelector": space}], "ports": [{"port": int(port)}]}
    return any(
        each["kind"] == "NetworkPolicy"
        and each["metadata"]["namespace"] == "chorus"
        and each["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/part-of": "chorus"}}
        and wanted in each["spec"].get("egress", ())
        for each in objects
    )


# --- NATS ----------------------------------------------------------------------------------------
def test_nats_has_three_servers_that_write_before_they_confirm_and_know_every_user(tmp_path: Path) -> None:
    values = yaml.safe_load((FOLDER / "nats/values.yaml").read_text("utf-8"))
    config = values["config"]
    assert config["cluster"]["enabled"]
    assert config["cluster"]["replicas"] == 3
    assert config["jetstream"]["merge"]["sync_interval"] == "always"
    made = secrets(tmp_path)
    for tls in (config["nats"]["tls"], config["cluster"]["tls"]):
        assert made[tls["secretName"]] == {"tls.crt", "tls.key"}
    keys = {name: each for name, each in values["container"]["env"].items() if name.startswith("NKEY_")}
    assert keys.keys() == {f"NKEY_{user.upper()}" for user in (*USERS, *SYSTEM_USERS)} == made["nats-users"]
    for name, each in keys.items():
        assert each["valueFrom"]["secretKeyRef"] == {"name": "nats-users", "key": name}
    used = set(re.findall(r"\$(NKEY_\w+)", (ROOT / "deploy/nats/accounts.values.yaml").read_text("utf-8")))
    assert used == keys.keys()
    desk = values["natsBox"]["contexts"]["default"]["nkey"]
    assert desk["key"] in made[desk["secretName"]]


def test_the_operators_desk_writes_only_where_it_may() -> None:
    box = yaml.safe_load((FOLDER / "nats/values.yaml").read_text("utf-8"))["natsBox"]
    container = box["container"]
    (mount,) = container["patch"]
    (volume,) = box["podTemplate"]["patch"]
    assert mount["path"] == "/volumeMounts/-"
    assert volume["path"] == "/spec/volumes/-"
    assert "emptyDir" in volume["value"]
    assert mount["value"] == {"name": volume["value"]["name"], "mountPath": container["merge"]["workingDir"]}
    assert container["env"]["XDG_CONFIG_HOME"].startswith(mount["value"]["mountPath"])
    assert container["merge"]["securityContext"]["readOnlyRootFilesystem"] is True


def test_keys_of_others_are_optional_and_each_reaches_one_service(tmp_path: Path) -> None:
    (tmp_path / "openai_key").write_text("")
    without = secrets(tmp_path)
    assert not [name for name, keys in without.items() if "chorus_openai_key" in keys]
    (tmp_path / "openai_key").write_text("key")
    made = secrets(tmp_path)
    assert [name for name, keys in made.items() if "chorus_openai_key" in keys] == ["chorus-inference"]
    assert [name for name, keys in made.items() if "chorus_discord_token" in keys] == ["chorus-gateway"]
