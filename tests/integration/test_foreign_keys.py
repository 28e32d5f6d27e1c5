"""The operator's commands with somebody else's key: it is said whose key it is, and which is needed."""

import shutil
from pathlib import Path

import pytest

from chorus.common.errors import NotPermitted
from chorus.common.operations.cli import backup_command, restore_command, status_command
from tests.support.servers import Servers


def come_with(key: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the operator, but for the key."""
    for name, value in servers.stack.environment("operator").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHORUS_NATS_NKEY_FILE", str(key))


def key_of(user: str, servers: Servers) -> Path:
    file = servers.settings(user).nats_nkey_file
    assert file is not None
    return file


async def test_a_services_key_makes_no_backup(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    come_with(key_of("gateway", servers), servers, monkeypatch)
    with pytest.raises(
        NotPermitted, match=r"may not publish to .*gateway\.nk: this needs the key of operator"
    ):
        await backup_command([str(tmp_path)])


async def test_a_key_in_a_file_with_anothers_name_is_told_at_once(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    come_with(Path(shutil.copy(key_of("gateway", servers), tmp_path / "operator.nk")), servers, monkeypatch)
    for command, words in ((status_command, []), (backup_command, [str(tmp_path)])):
        with pytest.raises(
            NotPermitted, match=r"may not subscribe to .*operator\.nk: this needs the key of op"
        ):
            await command(words)


async def test_the_operator_does_not_restore(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file without a user's name is taken for the one that is needed."""
    come_with(Path(shutil.copy(key_of("operator", servers), tmp_path / "nkey")), servers, monkeypatch)
    with pytest.raises(NotPermitted, match=r"_inbox\.provisioner\..*nkey: this needs the key of provisioner"):
        await restore_command([str(tmp_path / "a.tar")])


async def test_status_says_whose_key_sees_less(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    come_with(key_of("gateway", servers), servers, monkeypatch)
    assert await status_command([]) == 1
    told = capsys.readouterr()
    assert "gateway.nk is the key of gateway, who may look at less than operator." in told.err
    assert "This NATS user may not publish to '$srv.stats'." in told.out
    assert "no answer within" not in told.out
