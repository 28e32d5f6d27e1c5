"""The file that a backup is: what is whole is read, what is damaged or hostile is refused."""

import hashlib
import io
import json
import resource
import tarfile
from pathlib import Path
from typing import Any

import pytest
from nats.errors import FlushTimeoutError

from chorus.common.errors import InvalidInput, TooLarge, Unavailable
from chorus.common.operations import archive
from chorus.common.operations.archive import COPIED, Manifest, ObjectCopy, StreamCopy, reading, writing
from chorus.common.operations.files import nameless

STREAMS = {f"streams/{name}": b"" for name in COPIED}
BYTES = {**STREAMS, "streams/TRAIN": b"a stream" * 100, "objects/0": b"an object" * 5000, "objects/1": b""}
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
                "name": name,
                "size": len(BYTES[f"streams/{name}"]),
                "sha256": HASHES[f"streams/{name}"],
                "messages": 1,
                "first_seq": 1,
                "last_seq": 1,
            }
            for name in COPIED
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


def test_what_lies_where_it_is_written_is_never_written_to(tmp_path: Path) -> None:
    """A file that others may read, under a name that could be known, and a link to somewhere else."""
    other = tmp_path / "other"
    for planted in (other, tmp_path / ".open.tar.part"):
        planted.write_bytes(b"")
        planted.chmod(0o666)
    (tmp_path / ".link.tar.part").symlink_to(other)
    for name in ("open.tar", "link.tar"):
        with writing(tmp_path / name) as writer:
            writer.add("objects/0", io.BytesIO(b"said"), 4)
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
        assert not (tmp_path / name).is_symlink()
    assert other.read_bytes() == b""


def test_what_appears_meanwhile_under_its_name_stays(tmp_path: Path) -> None:
    path = tmp_path / "backup.tar"
    with pytest.raises(InvalidInput, match="there already"), writing(path):
        path.write_bytes(b"another")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("backup.tar", b"another")]


def test_an_object_that_ends_early_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(Unavailable, match="objects/0 ended 95 bytes") as why,
        writing(tmp_path / "x") as writer,
    ):
        writer.add("objects/0", io.BytesIO(b"short"), 100)
    assert why.value.code == "objects_unavailable"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", [FlushTimeoutError, TimeoutError, ConnectionResetError])
def test_a_lost_server_is_not_taken_for_a_full_disk(tmp_path: Path, lost: type[OSError]) -> None:
    with pytest.raises(lost), writing(tmp_path / "backup.tar"):
        raise lost
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    """No file of this process may grow beyond a megabyte, or at all: told in the middle, or at the end."""
    most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0 if size == 100 else 1_000_000, hard))
    try:
        with pytest.raises(Unavailable, match="Make room there") as why, writing(tmp_path / "x") as writer:
            writer.add("objects/0", io.BytesIO(bytes(size)), size)
        with pytest.raises(Unavailable, match="Make room there"), nameless(tmp_path) as file:
            file.write(bytes(size))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    assert why.value.code == "not_writable"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"), writing(tmp_path / "no" / "where.tar"):
        pass


@pytest.mark.parametrize("at", range(0, 56_000, 1500))
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
    refused(by_hand(tmp_path / "x.tar", told(), STREAMS))
    path = by_hand(tmp_path / "y.tar", told(), {})
    with tarfile.open(path, "a") as tar:
        for name in BYTES:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    refused(path)


@pytest.mark.parametrize("name", COPIED)
def test_a_backup_without_one_of_our_streams_is_refused(tmp_path: Path, name: str) -> None:
    manifest = told()
    manifest["streams"] = [stream for stream in manifest["streams"] if stream["name"] != name]
    assert f"{name} is not in it" in refused(by_hand(tmp_path / "x.tar", manifest))


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"},
        {"GNU.sparse.size": "9", "GNU.sparse.map": "1,x"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
        {"GNU.sparse.size": "9", "GNU.sparse.map": "0,5"},
        {"size": "-5"},
        {"size": str(2**80)},
    ],
)
def test_headers_that_make_no_sense_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size, member.pax_headers = 5, headers
        tar.addfile(member, io.BytesIO(b"hello"))
        tar.addfile(tarfile.TarInfo("manifest.sha256"))
    refused(path)


def test_a_list_that_is_too_long_is_neither_written_nor_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_hand(tmp_path / "x.tar", told())
    monkeypatch.setattr(archive, "LONGEST_MANIFEST", 1000)
    refused(path)
    with pytest.raises(TooLarge, match="of 2 objects"), writing(tmp_path / "y.tar") as writer:
        writer.close(Manifest.model_validate(told()))
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_cut_off_after_it_was_checked_does_not_say_that_nothing_was_changed(
    whole: Path,
) -> None:
    with pytest.raises(InvalidInput, match="was changed while it was read") as why, reading(whole) as reader:
        reader.check()
        whole.write_bytes(whole.read_bytes()[:20_000])
        reader.open("objects/0", len(BYTES["objects/0"])).read()
    assert why.value.code == "backup_damaged"


def test_the_models_of_a_manifest_are_strict() -> None:
    stream, *_ = told()["streams"]
    assert StreamCopy.model_validate(stream).member == "streams/TRAIN"
    assert ObjectCopy.model_validate(told()["objects"][0]).bucket == "models"
