"""Where Chorus is: the one that runs on this machine, or servers that the environment names."""

import os
from pathlib import Path

from chorus.common.local.console import environment_of
from chorus.common.local.stack import StackSettings
from chorus.common.settings import PREFIX, load
from chorus.gateway.settings import GatewaySettings


def settings_for(data: Path | None) -> GatewaySettings:
    """What a gateway needs to know to join.

    With `data`, of the Chorus that runs on this folder. Without it the environment is asked
    (`CHORUS_NATS_URL`, `CHORUS_NATS_NKEY_FILE`, `CHORUS_S3_…`), then the folder that `chorus up` would take.
    Raises `Unavailable` where none runs, `Misconfigured` for settings that cannot be.
    """
    if data is None and f"{PREFIX}NATS_URL" in os.environ:
        return load(GatewaySettings)
    given = environment_of(data or load(StackSettings).data)
    return GatewaySettings.model_validate(
        {name.removeprefix(PREFIX).lower(): value for name, value in given.items()}
    )
