"""The file that a backup is: a tar of members, and a manifest that says what they are.

    streams/TRAIN …     as NATS copies a stream
    objects/0 …         an object's bytes; which object, the manifest says
    manifest.json       every member with its size and sha256, last: without it, nothing was finished
    manifest.sha256     the manifest's own

What is read from it never becomes a path: members are looked up, not unpacked, and every name in a manifest
is one of ours or is refused. A sum shows damage; it does not show who wrote the file.
"""

import hashlib
import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Annotated, Literal, Self

from pydantic import NonNegativeFloat, NonNegativeInt, StringConstraints, model_validator

from chorus.common.contracts.names import GUILD, Sha256
from chorus.common.contracts.storage import BUCKETS
from chorus.common.contracts.topology import IDENTIFY, KV_BUCKETS, LEASES, STREAMS, UNFINISHED
from chorus.common.contracts.wire import MIB, StrictPart, Time, decode, encode
from chorus.common.errors import ChorusError, InvalidInput, TooLarge, Unavailable, in_short
from chorus.common.objects import sha256_of
from chorus.common.operations.files import new_file

MANIFEST, SUM = "manifest.json", "manifest.sha256"
LONGEST_MANIFEST = 128 * MIB  # bytes; some 250 an object, and it is read into memory
UNREADABLE = (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError, OSError)
"""What tarfile raises for headers that make no sense, beside its own errors."""

PASSING = frozenset(f"KV_{name}" for name in (LEASES, IDENTIFY, UNFINISHED))
"""What is true at this moment alone: whose turn it is, who logs in, which answer is being written."""
COPIED = tuple(str(config.name) for config in (*STREAMS, *KV_BUCKETS) if config.name not in PASSING)
"""Streams of a backup, in the order in which they are copied: what refers comes before what it refers to."""

StreamName = Annotated[str, StringConstraints(pattern=rf"^(?:{'|'.join(COPIED)})$")]
BucketName = Annotated[str, StringConstraints(pattern=rf"^(?:{'|'.join(BUCKETS)})$")]
Key = Annotated[
    str, StringConstraints(pattern=rf"^(?:{GUILD})(?:/[^/\x00-\x1f\x7f]{{1,255}})+$", max_length=1024)
]
"""Starts with the guild, and has no sign that is not to be seen."""


class StreamCopy(StrictPart):
    """A stream, in the member `streams/<name>`."""

    name: StreamName
    size: NonNegativeInt
    """Bytes of the member."""
    sha256: Sha256
    messages: NonNegativeInt
    first_seq: NonNegativeInt
    last_seq: NonNegativeInt

    @property
    def member(self) -> str:
        """Where its bytes are."""
        return f"streams/{self.name}"


class ObjectCopy(StrictPart):
    """An object, in the member `objects/<its place in the list>`."""

    bucket: BucketName
    key: Key
    size: NonNegativeInt
    sha256: Sha256

    @model_validator(mode="after")
    def _does_not_climb(self) -> Self:
        if {".", ".."} & set(self.key.split("/")):
            raise ValueError("a key must not climb")
        return self


class Manifest(StrictPart):
    """What a backup holds."""

    format: Literal[1] = 1
    made_at: Time
    chorus: str
    """Version of Chorus that made it."""
    nats_server: str
    seconds: NonNegativeFloat
    """It took so long: what is in it is of that time, and not of one moment."""
    streams: list[StreamCopy]
    objects: list[ObjectCopy]

    @model_validator(mode="after")
    def _every_stream_and_nothing_twice(self) -> Self:
        names = [stream.name for stream in self.streams]
        if missing := set(COPIED) - set(names):  # a new one needs a new format, in which it may be missing
            raise ValueError(f"{', '.join(sorted(missing))} is not in it")
        places = [(one.bucket, one.key) for one in self.objects]
        if len(set(names)) < len(names) or len(set(places)) < len(places):
            raise ValueError("something is named twice")
        return self


class Writer:
    """Adds members to a backup that is being written."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, name: str, file: IO[bytes], size: int) -> str:
        """Copy `size` bytes of an open file; returns their sha256. Raises `Unavailable` for fewer."""
        hashed = _Hashed(file, name, size)
        member = tarfile.TarInfo(name)
        member.size = size
        self._tar.addfile(member, hashed)
        return hashed.digest.hexdigest()

    def close(self, manifest: Manifest) -> None:
        """Write what makes it whole. Raises `TooLarge` for more objects than can be read again."""
        data = encode(manifest)
        if len(data) > LONGEST_MANIFEST:
            raise TooLarge(
                f"A backup of {len(manifest.objects)} objects cannot be read again: its list would be longer "
                f"than {LONGEST_MANIFEST // MIB} MiB. Delete datasets and models that nobody needs.",
                code="backup_too_large",
            )
        digest = self.add(MANIFEST, BytesIO(data), len(data))
        self.add(SUM, BytesIO(digest.encode()), len(digest))


@contextmanager
def writing(path: Path) -> Generator[Writer]:
    """A new file, which appears under its name only when it is whole; nobody else may read it.

    Raises `Unavailable` where it cannot be written, `InvalidInput` where something is there.
    """
    with new_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        yield Writer(tar)


class Reader:
    """A backup whose every sum was right. Make it with `reading`."""

    def __init__(self, tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo], manifest: Manifest) -> None:
        self._tar = tar
        self._members = members
        self.manifest = manifest

    def open(self, name: str, size: int) -> IO[bytes]:
        """A member's bytes. Raises `InvalidInput` where it is not there, or of another size."""
        member = self._members.get(name)
        file = self._tar.extractfile(member) if member and _is_file(member) and member.size == size else None
        if file is None:
            raise damaged(f"{name} is missing, or not of its size")
        return file

    def check(self) -> None:
        """Read all of it. Raises `InvalidInput` at the first sum that is wrong."""
        for name, size, sha256 in members(self.manifest):
            try:
                with self.open(name, size) as file:
                    found = sha256_of(file)
            except UNREADABLE as error:
                raise damaged(f"{name} cannot be read: {in_short(str(error))}") from None
            if found != sha256:
                raise damaged(f"the sum of {name} is wrong")


def members(manifest: Manifest) -> Iterator[tuple[str, int, str]]:
    """Name, size and sha256 of each member that the manifest tells of."""
    for stream in manifest.streams:
        yield stream.member, stream.size, stream.sha256
    for number, one in enumerate(manifest.objects):
        yield f"objects/{number}", one.size, one.sha256


@contextmanager
def reading(path: Path) -> Generator[Reader]:
    """A backup, its manifest checked, its members not yet. Raises `InvalidInput` if it cannot be used."""
    try:
        file = path.open("rb")
    except OSError as error:
        told = f"{path} cannot be read ({error.strerror}). Name a backup's file."
        raise InvalidInput(told, code="no_backup", param="file") from None
    with file:
        reader = _reader(file)
        try:
            yield reader
        except tarfile.TarError as error:  # all of it was read before
            raise InvalidInput(
                f"{path} was changed while it was read ({error}). Restore the whole one again with --over.",
                code="backup_damaged",
                param="file",
            ) from None


def _reader(file: IO[bytes]) -> Reader:
    try:
        tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - it holds nothing but the file
        found = {member.name: member for member in tar}
        data, digest = _small(tar, found.get(MANIFEST)), _small(tar, found.get(SUM))
    except UNREADABLE as error:
        raise damaged(in_short(str(error))) from None
    if hashlib.sha256(data).hexdigest().encode() != digest:
        raise damaged("the sum of its manifest is wrong")
    try:
        return Reader(tar, found, decode(Manifest, data))
    except InvalidInput as error:
        raise damaged(error.message) from None


def _small(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> bytes:
    file = (
        tar.extractfile(member) if member and _is_file(member) and member.size <= LONGEST_MANIFEST else None
    )
    if file is None:
        raise damaged("it has no manifest, so it was not finished")
    return file.read()


def _is_file(member: tarfile.TarInfo) -> bool:
    """Whether it is what we write; one with holes says nothing of how much it is."""
    return member.isreg() and not member.issparse()


def damaged(why: str) -> ChorusError:
    """The error for a file that nothing may be taken from."""
    return InvalidInput(
        f"This backup cannot be used, and nothing was changed: {why}. Take another one.",
        code="backup_damaged",
        param="file",
    )


class _Hashed:
    """A file that is hashed while `size` bytes of it are read, and that must have as many."""

    def __init__(self, file: IO[bytes], name: str, size: int) -> None:
        self._file = file
        self._name = name
        self._left = size
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self._left -= len(data)
        if len(data) < size:
            raise Unavailable(
                f"{self._name} ended {self._left} bytes too early. Make the backup again.",
                code="objects_unavailable",
            )
        return data
