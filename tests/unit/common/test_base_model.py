"""The base model: found, or said why not; and told apart from any other."""

import shutil
from pathlib import Path

import pytest

from chorus.common import base_model
from chorus.common.base_model import STARTER, STARTER_FOLDER, fingerprint
from chorus.common.errors import Misconfigured


def test_the_starter_says_that_it_is_a_toy() -> None:
    found = base_model.find(STARTER)
    assert found.id.name == "starter"
    assert "toy" in found.label


def test_a_folder_is_a_base_model(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    shutil.copytree(STARTER_FOLDER, folder)
    found = base_model.find(str(folder))
    assert (found.id.name, found.folder) == ("my-model", folder)
    assert found.id.fingerprint == base_model.find(STARTER).id.fingerprint


@pytest.mark.parametrize(
    "changed", ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"]
)
def test_another_model_has_another_fingerprint(tmp_path: Path, changed: str) -> None:
    folder = tmp_path / "other"
    shutil.copytree(STARTER_FOLDER, folder)
    data = bytearray((folder / changed).read_bytes())
    data[-1] ^= 1
    (folder / changed).write_bytes(data)
    assert fingerprint(folder) != fingerprint(STARTER_FOLDER)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"config\.json"):
        base_model.find(str(tmp_path))


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(Misconfigured, match="safetensors"):
        base_model.find(str(tmp_path))


def test_a_name_that_is_none() -> None:
    with pytest.raises(Misconfigured, match="neither a folder nor the name of a model"):
        base_model.find("no such/model/at all")


def test_a_model_that_cannot_be_fetched_is_no_other_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Misconfigured, match=r"nobody/nothing.*cannot be had.*or `starter`"):
        base_model.find("nobody/nothing")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('{"architectures": ["BertModel"]}', "does not write text .it is BertModel"),
        ("{}", "without a stated architecture"),
        ("[]", "broken config"),
        ('{"architectures": ', "broken config"),
    ],
)
def test_a_model_that_does_not_write_text(tmp_path: Path, config: str, words: str) -> None:
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 16)
    with pytest.raises(Misconfigured, match=words):
        base_model.find(str(tmp_path))


def test_weights_that_are_cut_off(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 3)
    with pytest.raises(Misconfigured, match="cut off"):
        base_model.find(str(tmp_path))
