"""Write `deploy/compose/.env.example`: what may be set for the containers, each with its default.

    python -m scripts.env_example

What compose.yaml interpolates stands first. Below it are the settings of the services, as their code tells
them, without those that compose.yaml and the images set themselves.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from chorus.common.provision import ProvisionSettings
from chorus.common.settings import PREFIX, CommonSettings
from chorus.gateway.settings import GatewaySettings
from chorus.inference.settings import InferenceSettings
from chorus.speech.settings import SpeechSettings
from chorus.trainer.settings import TrainerSettings

WRITTEN = Path(__file__).parent.parent / "deploy/compose/.env.example"

GIVEN = {
    "nats_url", "nats_ca", "nats_nkey_file", "s3_endpoint", "s3_access_key", "s3_secret_key", "discord_token",
    "openai_key", "health_host", "health_port", "cache", "console",
}  # fmt: skip
"""By compose.yaml, by the images, or as a secret."""

HEAD = """\
# Copy this file to `.env`, beside compose.yaml. Written by `make docs`; what is commented shows the default.

# --- compose.yaml ---------------------------------------------------------------------------------
# Who trains and answers (cpu or gpu), and who keeps objects (seaweedfs, minio, or neither).
COMPOSE_PROFILES=cpu,seaweedfs
# Where images come from, and which. Without a registry they are built here: `docker compose build`.
#CHORUS_IMAGES=chorus
#CHORUS_VERSION=latest
# The folder of keys, which `docker compose run --rm setup` fills.
#CHORUS_KEYS=./keys
# A store of your own, and the access keys that it has given; their secrets belong into keys/<user>.s3.
#CHORUS_S3_ENDPOINT=http://s3:8333
#CHORUS_S3_GATEWAY=gateway
#CHORUS_S3_TRAINER=trainer
#CHORUS_S3_INFERENCE=inference
#CHORUS_S3_SPEECH=speech
#CHORUS_S3_PROVISIONER=provisioner
#CHORUS_S3_OPERATOR=operator
# Where `docker compose run --rm operator chorus backup /backups` puts copies.
#CHORUS_BACKUPS=./backups
# What training and answering may take; of the profile gpu the defaults are 8 cores and 32g.
#TRAINER_CPUS=2
#TRAINER_MEMORY=8g
#INFERENCE_CPUS=2
#INFERENCE_MEMORY=8g
# Both are published on this machine alone.
#GRAFANA_PORT=3000
#PROMETHEUS_PORT=9090
#PROMETHEUS_KEEPS=30d
"""

KINDS: dict[str, type[BaseSettings]] = {
    "every service": CommonSettings,
    "gateway": GatewaySettings,
    "trainer": TrainerSettings,
    "inference": InferenceSettings,
    "speech": SpeechSettings,
    "provision": ProvisionSettings,
}


def env_example() -> str:
    """The whole file. A setting that several services have stands with the first of them."""
    told = set(GIVEN)
    parts = [HEAD]
    for title, kind in KINDS.items():
        own = {name: field for name, field in kind.model_fields.items() if name not in told}
        told |= set(own)
        lines = [line for name, field in own.items() for line in _setting(name, field)]
        parts.append("\n".join((f"# --- {title} ".ljust(100, "-"), *lines)) + "\n")
    return "\n".join(parts)


def _setting(name: str, field: FieldInfo) -> Iterator[str]:
    """Its meaning as a comment, and a line that only has to be uncommented."""
    meaning = " ".join((field.description or "").split())
    yield from wrap(meaning, 110, initial_indent="# ", subsequent_indent="# ")
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        shown = ""
    else:
        shown = json.dumps(value) if isinstance(value, bool | list) else str(value)
    yield f"#{PREFIX}{name.upper()}={shown}"


if __name__ == "__main__":
    WRITTEN.write_text(env_example(), "utf-8")
