"""`chorus doctor`, `status`, `backup` and `restore` as an operator types them, beside a running Chorus."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.datasets import DatasetRecord
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import DATASETS, JOBS, MODELS
from chorus.common.contracts.training import JobRecord
from chorus.common.objects import open_store
from chorus.common.operations.archive import reading
from tests.support.chorus import ANSWER_WITHIN, RunningChorus
from tests.support.servers import Servers, running_servers

Entries = dict[str, tuple[int, object]]


def typed(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder where no `.env` lies."""
    return subprocess.run(
        [str(Path(sysconfig.get_path("scripts")) / "chorus"), *words],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=ANSWER_WITHIN,
        check=False,
    )


def test_the_doctor_finds_nothing_wrong(chorus: RunningChorus) -> None:
    done = typed(chorus.folder, "doctor", "--json", CHORUS_DATA=str(chorus.folder))
    found = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert [name for name, one in found.items() if one["verdict"] == "wrong"] == [], done.stdout
    assert done.returncode == 0
    for name in ("nats", "streams", "clock", "services", "buckets", "s3"):
        assert found[name]["verdict"] == "good"


def test_status_is_one_screen(chorus: RunningChorus) -> None:
    done = typed(chorus.folder, "status", CHORUS_DATA=str(chorus.folder))
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) < 30
    for word in ("trainer", "inference", "speech", "queue", "starter (ready)", "streams", "objects"):
        assert word in done.stdout


async def entries(servers: Servers | RunningChorus) -> Entries:
    """What is known of jobs, models and datasets, with revisions."""
    found: Entries = {}
    for user, bucket, record in (
        ("gateway", JOBS, JobRecord),
        ("gateway", MODELS, ModelRecord),
        ("trainer", DATASETS, DatasetRecord),
    ):
        async with servers.connected(user) as connection:
            for entry in await (await open_bucket(connection, bucket, record)).entries():
                found[f"{bucket} {entry.key}"] = (entry.revision, entry.value)
    return found


async def test_jobs_models_and_datasets_come_back_elsewhere(chorus: RunningChorus, tmp_path: Path) -> None:
    chorus.say('!train "The harbour opens at six." epochs=1 model=kept')
    made = typed(chorus.folder, "backup", str(tmp_path), CHORUS_DATA=str(chorus.folder))
    assert made.returncode == 0, made.stderr
    (path,) = tmp_path.glob("chorus-*.tar")
    before = await entries(chorus)
    assert {"models local.kept"} <= before.keys()

    async with running_servers(tmp_path / "elsewhere") as servers:
        given = {**servers.stack.environment("provisioner"), "CHORUS_DATA": str(tmp_path)}
        done = typed(tmp_path, "restore", str(path), **given)
        assert done.returncode == 0, done.stderr
        assert await entries(servers) == before
        again = typed(tmp_path, "restore", str(path), **given)
        assert (again.returncode, "nothing was changed" in again.stderr) == (1, True)

        store = open_store(servers.settings("operator"))
        records = [value for _, value in before.values() if isinstance(value, ModelRecord)]
        manifests = [version.manifest for record in records for version in record.versions]
        for manifest in manifests:
            assert await store.get(manifest), "its bytes have the sha256 that its record names"
        with reading(path) as reader:
            assert len(reader.manifest.objects) >= len(manifests) > 0
