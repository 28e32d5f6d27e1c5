"""The file that a backup is: what is whole is read, what is damaged or hostile is refused."""

import errno
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from chorus.common.errors import InvalidInput, Unavailable
from chorus.common.operations.archive import Manifest, ObjectCopy, StreamCopy, reading, writing

BYTES = {"streams/TRAIN": b"a stream" * 100, "objects/0": b"an object" * 5000, "objects/1": b""}
HASHES = {name: hashlib.sha256(data).hexdigest() for name, data in BYTES.items()}


def told() -> dict[str, Any]:
    """A manifest that fits `BYTES`."""
    return {
        "format": 1,
        "made_at": "2026-01-31T12:00:00Z",
        "chorus": "0.1.0",
        "nats_server": "2.15.1",
        "seconds": 1.5,
        "streams": [
            {
                "name": "TRAIN",
                "size": len(BYTES["streams/TRAIN"]),
                "sha256": HASHES["streams/TRAIN"],
                "messages": 1,
                "first_seq": 1,
                "last_seq": 1,
            }
        ],
        "objects": [
            {
                "bucket": "models",
                "key": f"local/main/{number}",
                "size": len(BYTES[f"objects/{number}"]),
                "sha256": HASHES[f"objects/{number}"],
            }
            for number in range(2)
        ],
    }


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    with writing(path) as writer:
        sums = {name: writer.add(name, io.BytesIO(data), len(data)) for name, data in BYTES.items()}
        writer.close(Manifest.model_validate(told()))
    assert sums == HASHES
    return path


def by_hand(path: Path, manifest: object, members: dict[str, bytes] | None = None) -> Path:
    """A backup with right sums, whatever its manifest says."""
    data = json.dumps(manifest).encode()
    files = {**(BYTES if members is None else members), "manifest.json": data}
    files["manifest.sha256"] = hashlib.sha256(data).hexdigest().encode()
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def refused(path: Path) -> str:
    with pytest.raises(InvalidInput) as why, reading(path) as reader:
        reader.check()
    assert why.value.code == "backup_damaged"
    assert len(why.value.message) < 1000
    return why.value.message


def test_what_was_written_is_read_again(whole: Path) -> None:
    with reading(whole) as reader:
        reader.check()
        assert reader.manifest == Manifest.model_validate(told())
        assert reader.open("objects/0", len(BYTES["objects/0"])).read() == BYTES["objects/0"]


def test_nobody_else_may_read_it(whole: Path) -> None:
    assert whole.stat().st_mode & 0o077 == 0


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="end of data"), writing(tmp_path / "backup.tar") as writer:
        writer.add("objects/0", io.BytesIO(b"short"), 100)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No space left"), writing(tmp_path / "backup.tar"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", range(0, 48_000, 1500))
def test_a_flipped_byte_is_found_wherever_it_is(whole: Path, at: int) -> None:
    """Or it is one of those between the members, which mean nothing."""
    data = bytearray(whole.read_bytes())
    data[at] ^= 0x20
    whole.write_bytes(data)
    try:
        with reading(whole) as reader:
            reader.check()
            for name, content in BYTES.items():
                assert reader.open(name, len(content)).read() == content
            assert reader.manifest == Manifest.model_validate(told())
    except InvalidInput as error:
        assert error.code == "backup_damaged"


@pytest.mark.parametrize("keep", [0, 1, 511, 512, 700, 20_000, 46_500])
def test_what_ends_too_early_is_refused(whole: Path, keep: int) -> None:
    whole.write_bytes(whole.read_bytes()[:keep])
    refused(whole)


@pytest.mark.parametrize("content", [b"hello", b"\x1f\x8b\x08 gzip", b"\0" * 10_240])
def test_what_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    refused(tmp_path / "x.tar")


@pytest.mark.parametrize("name", ["x.tar", "."])
def test_no_file_at_all(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"), reading(tmp_path / name):
        pass


def test_the_one_made_by_hand_is_as_good(tmp_path: Path) -> None:
    with reading(by_hand(tmp_path / "x.tar", told())) as reader:
        reader.check()


@pytest.mark.parametrize(
    "key",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "local/../../../etc/passwd",
        "local/./x",
        "local/..",
        "local//x",
        "local/",
        "local",
        "",
        "nobody/x",
        "local/a\nb",
        "local/a\x00b",
        "local/" + "a" * 300,
        "local/" + "a/" * 600 + "b",
    ],
)
def test_a_key_that_climbs_or_hides_is_refused(tmp_path: Path, key: str) -> None:
    manifest = told()
    manifest["objects"][0]["key"] = key
    assert "objects.0" in refused(by_hand(tmp_path / "x.tar", manifest))


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [
        ("streams", "name", "../../etc"),
        ("streams", "name", "TRAIN\n"),
        ("streams", "name", "KV_leases"),
        ("streams", "name", "$JS"),
        ("streams", "size", -1),
        ("streams", "size", 1),
        ("streams", "sha256", "0" * 64),
        ("streams", "sha256", "../x"),
        ("streams", "config", {"subjects": [">"]}),
        ("objects", "bucket", "../etc"),
        ("objects", "bucket", "elsewhere"),
        ("objects", "size", 10**18),
        ("objects", "path", "/etc/passwd"),
    ],
)
def test_what_is_not_ours_in_a_manifest_is_refused(
    tmp_path: Path, where: str, field: str, value: object
) -> None:
    manifest = told()
    manifest[where][0][field] = value
    refused(by_hand(tmp_path / "x.tar", manifest))


@pytest.mark.parametrize("manifest", [None, [], 7, {}, "x", {**told(), "format": 2}, {**told(), "v": 1}])
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, manifest: object) -> None:
    refused(by_hand(tmp_path / "x.tar", manifest))


def test_what_is_named_twice_is_refused(tmp_path: Path) -> None:
    for where in ("streams", "objects"):
        manifest = told()
        manifest[where].append(manifest[where][0])
        refused(by_hand(tmp_path / f"{where}.tar", manifest))


def test_a_member_that_is_missing_or_no_file_is_refused(tmp_path: Path) -> None:
    refused(by_hand(tmp_path / "x.tar", told(), {"streams/TRAIN": BYTES["streams/TRAIN"]}))
    path = by_hand(tmp_path / "y.tar", told(), {})
    with tarfile.open(path, "a") as tar:
        for name in BYTES:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    refused(path)


def test_the_models_of_a_manifest_are_strict() -> None:
    stream, *_ = told()["streams"]
    assert StreamCopy.model_validate(stream).member == "streams/TRAIN"
    assert ObjectCopy.model_validate(told()["objects"][0]).bucket == "models"
