"""deploy/compose: it has the form that compose reads, and every container is locked in."""

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.env_example import WRITTEN, env_example

from chorus.common.contracts.permissions import USERS
from chorus.common.contracts.policies import STORE_USERS
from chorus.common.provision import ProvisionSettings
from chorus.gateway.settings import GatewaySettings
from chorus.inference.settings import InferenceSettings
from chorus.speech.settings import SpeechSettings
from chorus.trainer.settings import TrainerSettings
from tests.deploy.test_docker import stages, tool

FOLDER = Path(__file__).parent.parent.parent / "deploy/compose"
FILE = FOLDER / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LONG_LIVED = {name: service for name, service in SERVICES.items() if service["restart"] == "unless-stopped"}
OURS = {name: service for name, service in LONG_LIVED.items() if "build" in service}
KINDS = (GatewaySettings, TrainerSettings, InferenceSettings, SpeechSettings, ProvisionSettings)
SETTINGS = {f"CHORUS_{name.upper()}" for kind in KINDS for name in kind.model_fields}
INTERPOLATED = re.compile(r"\$\{(\w+):-([^}]*)\}")


def own_secrets(service: dict[str, Any]) -> dict[str, str]:
    """A service's secrets: where each lies in the container, and which it is."""
    given = [{"source": each} if isinstance(each, str) else each for each in service.get("secrets", [])]
    return {each.get("target", each["source"]): each["source"] for each in given}


def own_mounts(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is mounted, by where it comes from."""
    given: list[dict[str, Any]] = []
    for each in service.get("volumes", ()):
        if isinstance(each, str):
            source, target = with_defaults(each).split(":")[:2]
            given.append({"source": source, "target": target})
        else:
            given.append(each)
    return {each["source"]: each for each in given}


def with_defaults(text: str) -> str:
    """What it comes to without an `.env`."""
    return INTERPOLATED.sub(lambda found: found[2], text)


def test_it_has_the_form_of_a_compose_file() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_nothing_beside_its_work(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= limits.keys()
    if name == "setup":  # it hands over what belongs to root, once, and has no network
        assert service["network_mode"] == "none"
        assert service["profiles"] == ["setup"]
    else:
        assert service["user"] == "10001:10001"
        assert "cap_add" not in service


@pytest.mark.parametrize("name", [name for name in LONG_LIVED if name not in OURS])
def test_what_goes_on_running_tells_how_it_is(name: str) -> None:
    assert LONG_LIVED[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_is_built_from_a_stage_that_tells_how_it_is(name: str) -> None:
    service = OURS[name]
    assert service["build"]["target"] in stages()
    assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert "healthcheck" not in service
    assert "HEALTHCHECK" in stages()["runtime"]
    assert service["depends_on"] == {"provision": {"condition": "service_completed_successfully"}}
    grace = float(GatewaySettings.model_fields["grace"].default)
    assert float(service["stop_grace_period"].removesuffix("s")) >= 2 * grace


def test_images_are_pinned() -> None:
    for service in SERVICES.values():
        image = with_defaults(service["image"])
        assert re.search(r":[\w.-]+$", image)
        assert image.startswith("chorus/") or not image.endswith(":latest")


def test_only_grafana_and_prometheus_are_published_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"grafana", "prometheus"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_bus_and_the_store_have_no_way_out() -> None:
    assert COMPOSE["networks"]["bus"] == COMPOSE["networks"]["store"] == {"internal": True}
    assert set(SERVICES["nats"]["networks"]) == {"bus"}
    assert set(SERVICES["s3"]["networks"]) == set(SERVICES["minio"]["networks"]) == {"store"}
    on_the_store = {name for name, service in SERVICES.items() if "store" in service.get("networks", ())}
    assert on_the_store == {*OURS, "s3", "minio", "minio-users", "provision", "operator"}


def test_volumes_secrets_and_networks_are_those_that_are_used() -> None:
    used = {source for service in SERVICES.values() for source in own_secrets(service).values()}
    assert used == COMPOSE["secrets"].keys()
    networks = {network for service in SERVICES.values() for network in service.get("networks", ())}
    assert networks == COMPOSE["networks"].keys()
    sources = {source for service in SERVICES.values() for source in own_mounts(service)}
    named = {source for source in sources if not source.startswith(".")}
    assert named == COMPOSE["volumes"].keys()
    assert all((FOLDER / source).exists() for source in sources - named - {"./keys", "./backups"})


def test_a_volume_that_setup_has_handed_over_stays_as_it_is() -> None:
    foreign = [service for service in SERVICES.values() if not service["image"].startswith("${CHORUS_IMAGES")]
    named = {
        source: mount
        for service in foreign
        for source, mount in own_mounts(service).items()
        if source in COMPOSE["volumes"]
    }
    assert named.keys() == own_mounts(SERVICES["setup"]).keys() & COMPOSE["volumes"].keys()
    for mount in named.values():
        assert mount["type"] == "volume"
        assert mount["volume"] == {"nocopy": True}, (
            "Docker would put the image's folder and owner in its place"
        )


def test_setup_makes_every_secret_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "data").mkdir()
    script = (FOLDER / "setup.sh").read_text("utf-8")
    for folder in ("keys", "data"):
        script = re.sub(rf"(?<=[ \"])/{folder}\b", str(tmp_path / folder), script)
    script = script.replace("10001:10001", f"{os.getuid()}:{os.getgid()}")
    environment = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"}

    def made() -> dict[str, bytes]:
        subprocess.run(["sh", "-e", "-c", script], env=environment, check=True, stdout=subprocess.DEVNULL)
        return {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}

    first = made()
    assert COMPOSE["secrets"].keys() <= first.keys()
    assert made() == first
    assert {name for name in first if (tmp_path / "keys" / name).stat().st_mode & 0o077} == {"nats.env"}


def test_no_secret_stands_in_the_file() -> None:
    assert not re.findall(r"(?i)(?:password|secret_key|token): [^\s{]", FILE.read_text("utf-8"))


@pytest.mark.parametrize("name", [*OURS, "provision", "operator"])
def test_a_service_is_its_own_user_everywhere(name: str) -> None:
    user = {"provision": "provisioner"}.get(name, name.removesuffix("-gpu"))
    assert user in USERS
    assert user in STORE_USERS
    service = SERVICES[name]
    of_others = {
        "gateway": {"chorus_discord_token": "discord_token"},
        "inference": {"chorus_openai_key": "openai_key"},
    }
    assert own_secrets(service) == {
        "ca.crt": "ca.crt",
        "nkey": f"{user}.nk",
        "chorus_s3_secret_key": f"{user}.s3",
        **of_others.get(user, {}),
    }
    environment = service["environment"]
    assert environment["CHORUS_S3_ACCESS_KEY"].endswith(f":-{user}}}")
    for setting in ("CHORUS_NATS_CA", "CHORUS_NATS_NKEY_FILE"):
        assert environment[setting].removeprefix("/run/secrets/") in own_secrets(service)


def test_every_variable_of_ours_is_a_setting() -> None:
    for name in (*OURS, "provision"):
        assert SERVICES[name]["environment"].keys() <= SETTINGS | {"CHORUS_SECRETS_DIR"}


def test_minio_is_told_of_every_user() -> None:
    known = set(own_secrets(SERVICES["minio-users"])) - {"minio_root"}
    assert known == {f"{user}.s3" for user in STORE_USERS}


def test_whichever_store_is_chosen_answers_where_services_look_for_it() -> None:
    endpoint = with_defaults(SERVICES["gateway"]["environment"]["CHORUS_S3_ENDPOINT"])
    _, host, port = re.split(r"://|:", endpoint)
    assert {f"-ip={host}", f"-s3.port={port}"} <= set(SERVICES["s3"]["command"])
    minio = SERVICES["minio"]
    assert minio["networks"]["store"]["aliases"] == [host]
    assert minio["command"][1:3] == ["--address", f":{port}"]
    assert minio["environment"]["MC_HOST_local"] == f"http://127.0.0.1:{port}", "for `mc ready local`"
    assert f"http://minio:{port} " in (FOLDER / "minio-users.sh").read_text("utf-8")


def test_no_secret_can_be_set_where_every_container_would_read_it() -> None:
    secret = {
        f"CHORUS_{name.upper()}"
        for kind in KINDS
        for name, field in kind.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    assert "CHORUS_OPENAI_KEY" in secret
    assert not [name for name in secret if f"{name}=" in env_example()]


# --- .env.example --------------------------------------------------------------------------------
def test_the_example_of_an_env_file_is_fresh() -> None:
    assert WRITTEN.read_text("utf-8") == env_example(), "make docs"


def test_all_that_is_interpolated_can_be_set_and_is_told_with_its_default() -> None:
    told = dict(re.findall(r"^#?(\w+)=(.*)$", env_example(), re.MULTILINE))
    found = INTERPOLATED.findall(FILE.read_text("utf-8"))
    defaults: dict[str, set[str]] = {}
    for name, default in found:
        defaults.setdefault(name, set()).add(default)
    for name, values in defaults.items():
        assert told[name] in values, f"{name} is {values}"
    assert "${" not in INTERPOLATED.sub("", FILE.read_text("utf-8")), "a variable without a default"


def test_every_setting_is_told_or_given() -> None:
    told = set(re.findall(r"^#?(CHORUS_\w+)=", env_example(), re.MULTILINE))
    given = {name for service in (*OURS, "provision") for name in SERVICES[service]["environment"]}
    image = set(re.findall(r"(CHORUS_\w+)=", stages()["runtime"]))
    secret = {"CHORUS_S3_SECRET_KEY", "CHORUS_DISCORD_TOKEN", "CHORUS_OPENAI_KEY"}
    assert SETTINGS - told == (given | image | secret | {"CHORUS_CONSOLE"}) - told - {"CHORUS_SECRETS_DIR"}
