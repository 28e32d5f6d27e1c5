"""Where an operator's commands look, and as whom; and which objects a record names."""

import json
from pathlib import Path

import pytest

from chorus.common.errors import Unavailable
from chorus.common.local.folder import DataFolder
from chorus.common.operations.access import JetStreamRefused, answered, is_local, settings_for, user_of
from chorus.common.operations.restore import refs_in
from chorus.common.settings import CommonSettings

HASH = "0" * 64


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHORUS_DATA", str(tmp_path))


def test_what_runs_here_is_meant_unless_servers_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert is_local()
    with pytest.raises(Unavailable, match="No Chorus runs on"):
        settings_for("operator")
    (tmp_path / ".env").write_text("CHORUS_NATS_URL=nats://elsewhere:4222\n")
    assert not is_local()
    assert settings_for("operator").nats_url == "nats://elsewhere:4222"


def test_each_user_comes_here_with_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(DataFolder, "is_held", lambda _: True)
    (tmp_path / "keys").mkdir()
    (tmp_path / "stack.json").write_text(
        json.dumps({"nats": "nats://127.0.0.1:1", "s3": "http://127.0.0.1:2"})
    )
    found = {user: settings_for(user) for user in ("operator", "provisioner", "gateway")}
    for user, settings in found.items():
        assert settings.nats_nkey_file == tmp_path / "keys" / f"{user}.nk"
        assert user_of(settings) == user
        assert settings.s3_access_key.get_secret_value() == user
    assert len({settings.s3_secret_key.get_secret_value() for settings in found.values()}) == len(found)


@pytest.mark.parametrize(
    ("file", "user"), [(None, "operator"), ("my.nk", "operator"), ("speech.nk", "speech")]
)
def test_a_keys_file_says_whose_it_is(file: str | None, user: str) -> None:
    settings = CommonSettings.model_validate({"nats_nkey_file": file})
    assert user_of(settings) == user


def test_what_jetstream_refuses_is_an_error_with_its_number() -> None:
    assert answered(b'{"state":{}}') == {"state": {}}
    with pytest.raises(JetStreamRefused, match=r"stream not found \(10059\)") as refused:
        answered(b'{"error":{"code":404,"err_code":10059,"description":"stream not found"}}')
    assert refused.value.number == 10059


def test_objects_are_found_however_deep_a_record_names_them() -> None:
    ref = {"bucket": "models", "key": "local/a", "size": 1, "sha256": HASH}
    record = {"versions": [{"manifest": ref}, {"files": [[ref]], "sha256": HASH}], "key": "x", "n": None}
    assert list(refs_in(record)) == [("models", "local/a", HASH)] * 2
