"""Settings: everything wrong is said at once, by the name that a person set."""

from pathlib import Path

import pytest

from chorus.common.errors import Misconfigured
from chorus.common.settings import CommonSettings, load


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORUS_HEALTH_PORT", "99999")
    monkeypatch.setenv("CHORUS_LOG_LEVEL", "loud")
    with pytest.raises(Misconfigured) as error:
        load(CommonSettings)
    assert "CHORUS_HEALTH_PORT: " in error.value.message
    assert "'99999'" in error.value.message
    assert "CHORUS_LOG_LEVEL: " in error.value.message


def test_an_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CHORUS_NATS_URL=nats://file:1\nCHORUS_S3_REGION=file\nOTHER=1\n")
    monkeypatch.setenv("CHORUS_S3_REGION", "environment")
    settings = load(CommonSettings)
    assert (settings.nats_url, settings.s3_region) == ("nats://file:1", "environment")


def test_secrets_come_from_files_and_are_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "chorus_s3_secret_key").write_text("hush")
    monkeypatch.setenv("CHORUS_SECRETS_DIR", str(tmp_path))
    settings = load(CommonSettings)
    assert settings.s3_secret_key.get_secret_value() == "hush"
    assert "hush" not in repr(settings)


def test_what_may_be_a_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORUS_LOG_LEVEL", "s" * 60)
    with pytest.raises(Misconfigured) as error:
        load(CommonSettings)
    assert "s" * 60 not in error.value.message
