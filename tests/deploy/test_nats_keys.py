"""`chorus keys`: all keys of a deployment, made once and kept; without one of them no server starts."""

import os
import re
import stat
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

from chorus.common.contracts.permissions import SYSTEM_USERS, USERS
from chorus.common.errors import Misconfigured
from chorus.common.local import certificates
from chorus.common.local.deployment import keys_command, make_keys
from chorus.common.local.nats import nkey_variable
from chorus.common.local.servers import binary
from tests.support.secured import SHIPPED

CHORUS = Path(sysconfig.get_path("scripts")) / "chorus"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_secret_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    make_keys(folder)
    public = {"nats.env", "nats.crt", "ca.crt"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert path.name in public or stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert not any(b"PRIVATE" in (folder / name).read_bytes() for name in public)


def test_again_it_changes_nothing(tmp_path: Path) -> None:
    make_keys(tmp_path, ["nats", "127.0.0.1"])
    before = contents(tmp_path)
    make_keys(tmp_path)
    make_keys(tmp_path, ["nats"])
    assert contents(tmp_path) == before


def test_what_is_missing_is_made_and_the_rest_kept(tmp_path: Path) -> None:
    make_keys(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "speech.nk").unlink()
    make_keys(tmp_path)
    changed = {name for name, content in contents(tmp_path).items() if content != before[name]}
    assert changed == {"speech.nk", "nats.env"}


def test_a_new_certificate_is_a_flag_and_of_the_same_authority(tmp_path: Path) -> None:
    make_keys(tmp_path, ["nats"])
    before = contents(tmp_path)
    with pytest.raises(Misconfigured, match=r"is for nats, and not for nats\.example\.org\. --renew"):
        make_keys(tmp_path, ["nats.example.org"])
    assert contents(tmp_path) == before
    make_keys(tmp_path, ["nats.example.org"], renew=True)
    changed = {name for name, content in contents(tmp_path).items() if content != before[name]}
    assert changed == {"nats.crt", "nats.key"}
    make_keys(tmp_path, renew=True)
    make_keys(tmp_path, ["nats.example.org"])  # still for the same host


def test_the_authoritys_key_may_lie_elsewhere_until_it_signs(tmp_path: Path) -> None:
    make_keys(tmp_path)
    (tmp_path / "ca.key").unlink()
    make_keys(tmp_path)
    with pytest.raises(Misconfigured, match=r"ca\.crt is there, but ca\.key is not"):
        make_keys(tmp_path, renew=True)


@pytest.mark.parametrize(
    ("name", "told"), [("gateway.nk", "damaged"), ("nats.crt", "no certificate in PEM form")]
)
def test_what_is_damaged_is_told_and_not_written_over(tmp_path: Path, name: str, told: str) -> None:
    make_keys(tmp_path)
    (tmp_path / name).write_text("nonsense")
    with pytest.raises(Misconfigured, match=told):
        make_keys(tmp_path)
    assert (tmp_path / name).read_text() == "nonsense"


def test_the_command_tells_what_is_there_and_what_is_wrong(tmp_path: Path) -> None:
    folder = str(tmp_path / "keys")
    assert "for nats, 10.0.0.7; good until 20" in "\n".join(
        keys_command([folder, "--hosts", "nats,10.0.0.7"])
    )
    other = subprocess.run(
        [CHORUS, "keys", folder, "--hosts", "other"], capture_output=True, text=True, check=False
    )
    assert (other.returncode, other.stdout) == (1, "")
    assert "--renew" in other.stderr


def test_a_secret_that_was_put_there_for_all_to_read_is_closed(tmp_path: Path) -> None:
    make_keys(tmp_path)
    for name in ("nats.key", "ca.key", "gateway.nk", "ca.crt"):
        (tmp_path / name).chmod(0o644)
    make_keys(tmp_path)
    open_to_all = {path.name for path in tmp_path.iterdir() if path.stat().st_mode & 0o077}
    assert open_to_all <= {"ca.crt", "nats.crt", "nats.env"}


def test_a_secret_is_never_written_into_what_lies_there(tmp_path: Path) -> None:
    """A file that others may read, or a link, under a name that could be known before."""
    other = tmp_path / "other"
    other.write_bytes(b"")
    (tmp_path / "gateway.new").symlink_to(other)
    (tmp_path / "ca.new").touch(0o666)
    make_keys(tmp_path)
    assert other.read_bytes() == b""
    assert not (tmp_path / "gateway.nk").is_symlink()
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600


def test_a_place_that_is_no_folder_is_told() -> None:
    with pytest.raises(Misconfigured, match="/dev/null: keys cannot be kept there"):
        keys_command(["/dev/null"])


def test_hosts_may_have_spaces_between_them(tmp_path: Path) -> None:
    told = keys_command([str(tmp_path), "--hosts", "nats-0.example.org, *.nats.svc ,fd00::7"])
    assert "for nats-0.example.org, *.nats.svc, fd00::7;" in "\n".join(told)


@pytest.mark.parametrize(
    "hosts", ["ä,b", "http://x", "nats:4222", "", "a,,b", "-a", "a..b", "a b", "a/b", "a" * 64]
)
def test_what_is_no_host_is_told_and_nothing_made(tmp_path: Path, hosts: str) -> None:
    folder = tmp_path / "keys"
    with pytest.raises(Misconfigured, match="no host's name"):
        keys_command([str(folder), f"--hosts={hosts}"])
    assert not folder.exists()


def test_a_certificate_that_has_expired_is_not_called_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "SERVER_LASTS", -certificates.CLOCKS_DIFFER / 2)
    assert "; expired on 20" in (told := "\n".join(make_keys(tmp_path)))
    assert "--renew" in told
    monkeypatch.undo()
    assert "; good until 20" in "\n".join(make_keys(tmp_path, renew=True))


def test_kubernetes_hands_the_server_the_key_of_each_user() -> None:
    values = (SHIPPED.parent / "kubernetes/nats/values.yaml").read_text()
    assert set(re.findall(r"\bNKEY_[A-Z]+", values)) == {
        nkey_variable(user) for user in (*USERS, *SYSTEM_USERS)
    }


@pytest.mark.parametrize("name", ["nats-server.conf", "cluster.conf"])
def test_the_shipped_files_are_valid_with_these_keys_and_only_with_all_of_them(
    tmp_path: Path, name: str
) -> None:
    make_keys(tmp_path)
    public = dict(line.split("=") for line in (tmp_path / "nats.env").read_text().split())
    places = {
        "NATS_CERT": str(tmp_path / "nats.crt"),
        "NATS_KEY": str(tmp_path / "nats.key"),
        "NATS_CA": str(tmp_path / "ca.crt"),
        "NATS_STORE": str(tmp_path / "store"),
        "NATS_NAME": "nats-0",
        "NATS_ROUTES": "[tls://nats-0:6222]",
    }
    assert set(public) == {nkey_variable(user) for user in (*USERS, *SYSTEM_USERS)}
    assert "is valid" in checked(name, {**public, **places})
    for missing in public:
        without = {key: value for key, value in public.items() if key != missing}
        assert re.search(
            f"variable reference for '{missing}' .*not be found", checked(name, without | places)
        )


def checked(name: str, environment: Mapping[str, str]) -> str:
    """What nats-server says to a configuration."""
    told = subprocess.run(
        [binary("nats-server"), "-t", "-c", str(SHIPPED / name)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout + told.stderr
