"""Objects in S3: immutable bytes under a key that starts with the guild, hashed on the way in and out.

Any S3 server will do. A put is atomic by S3's own rule; a download becomes a file in one step, after its
hash was checked, so that nobody ever meets half of one. The client is synchronous and runs in threads.
"""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, BinaryIO, ParamSpec, TypeVar, cast
from urllib.parse import quote, urlsplit

import structlog
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from prometheus_client import CollectorRegistry
from urllib3.exceptions import HTTPError

from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import (
    ChorusError,
    InternalError,
    Misconfigured,
    NotFound,
    NotPermitted,
    Unavailable,
)
from chorus.common.settings import CommonSettings
from chorus.common.telemetry.metrics import ObjectMetrics

CHUNK = 1024 * 1024  # bytes read at a time
CONNECT_WITHIN, READ_WITHIN = 3.0, 60.0  # seconds
LOOK_WITHIN = 5.0  # seconds; for who only looks whether the server is there
RETRIES = urllib3.Retry(total=4, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504])

_NEVER = datetime.min.replace(tzinfo=UTC)  # of an object without a time: older than any limit

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")


class CorruptObject(InternalError):
    """The bytes are not those that were stored. Not retryable: they have to be made again."""

    default_code = "object_corrupt"


@dataclass(frozen=True)
class Stored:
    """An object as a listing shows it. `size` in bytes."""

    key: str
    size: int
    modified: datetime


class ObjectStore:
    """One S3 server. Make it with `open_store`."""

    def __init__(
        self, client: Minio, public: Minio | None = None, metrics: ObjectMetrics | None = None
    ) -> None:
        self._client = client
        self._public = public
        self._metrics = metrics or ObjectMetrics(CollectorRegistry())

    async def put(self, bucket: str, key: str, data: bytes) -> ObjectRef:
        """Store bytes that fit in memory."""
        ref = ObjectRef(bucket=bucket, key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        await self._call(self._client.put_object, bucket, key, BytesIO(data), len(data))
        return ref

    async def put_by_hash(self, bucket: str, guild: str, data: bytes | Path) -> ObjectRef:
        """Store a guild's bytes, or a file, under their own hash: the same bytes again are one object."""
        if isinstance(data, bytes):
            return await self.put(bucket, f"{guild}/{hashlib.sha256(data).hexdigest()}", data)
        sha256 = await asyncio.to_thread(file_sha256, data)
        return await self._put_file(bucket, f"{guild}/{sha256}", data, sha256)

    async def put_file(self, bucket: str, key: str, path: Path) -> ObjectRef:
        """Store a file of any size."""
        return await self._put_file(bucket, key, path, await asyncio.to_thread(file_sha256, path))

    async def _put_file(self, bucket: str, key: str, path: Path, sha256: str) -> ObjectRef:
        await self._call(self._client.fput_object, bucket, key, str(path))
        size = path.stat().st_size  # noqa: ASYNC240 - one system call
        return ObjectRef(bucket=bucket, key=key, size=size, sha256=sha256)

    def link(self, ref: ObjectRef, filename: str, seconds: float) -> str | None:
        """An address on the public endpoint where anybody may fetch this object for a while.

        None where the operator has named no public endpoint: an internal address helps nobody.
        """
        if self._public is None:
            return None
        named = f"attachment; filename*=UTF-8''{quote(filename)}"
        return self._public.presigned_get_object(
            ref.bucket,
            ref.key,
            expires=timedelta(seconds=seconds),
            response_headers={"response-content-disposition": named},
        )

    async def get(self, ref: ObjectRef) -> bytes:
        """Bytes that fit in memory, checked."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object"
            await self.get_file(ref, path)
            return path.read_bytes()

    async def get_unhashed(self, bucket: str, key: str) -> bytes:
        """Bytes that fit in memory and whose hash nobody has kept; what they say is to be checked."""

        def read() -> bytes:
            response = self._client.get_object(bucket, key)
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

        return await self._call(read)

    async def get_file(self, ref: ObjectRef, path: Path) -> None:
        """Download to `path`, which appears only when whole and checked. Raises `CorruptObject`."""
        await self._call(self._download, ref, path)

    def _download(self, ref: ObjectRef, path: Path) -> None:
        response = self._client.get_object(ref.bucket, ref.key)
        digest, size = hashlib.sha256(), 0
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with partial.open("wb") as file:
                while chunk := response.read(CHUNK):
                    size += len(chunk)
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if (size, digest.hexdigest()) != (ref.size, ref.sha256):
                raise CorruptObject(f"{ref.bucket}/{ref.key} is not what was stored: its hash differs.")
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
            response.close()
            response.release_conn()

    async def read_by(self, bucket: str, key: str, read: Callable[[IO[bytes]], T]) -> T:
        """What `read` makes of an object's bytes as they come; it runs in a thread. Nothing is checked."""

        def reading() -> T:
            response = self._client.get_object(bucket, key)
            try:
                return read(cast("IO[bytes]", response))
            finally:
                response.close()
                response.release_conn()

        return await self._call(reading)

    async def put_from(self, bucket: str, key: str, file: IO[bytes], size: int) -> None:
        """Store `size` bytes of an open file, piece by piece."""
        await self._call(self._client.put_object, bucket, key, cast("BinaryIO", file), size)

    async def any_in(self, bucket: str) -> bool:
        """Whether there is anything. Raises `NotFound` without the bucket."""

        def first() -> bool:
            return next(iter(self._client.list_objects(bucket, recursive=True)), None) is not None

        return await self._call(first)

    async def list(self, bucket: str, prefix: str) -> list[Stored]:
        """What lies under a prefix, which starts with the guild and ends with a slash."""

        def listed() -> list[Stored]:
            found = self._client.list_objects(bucket, prefix, recursive=True)
            return [Stored(o.object_name or "", o.size or 0, o.last_modified or _NEVER) for o in found]

        return await self._call(listed)

    async def delete(self, bucket: str, keys: Iterable[str]) -> int:
        """Delete objects, those that are gone already as well; returns how many were asked for."""
        once = sorted(set(keys))

        def deleted() -> int:
            for key in once:
                self._client.remove_object(bucket, key)
            return len(once)

        return await self._call(deleted)

    async def ensure_buckets(self, names: tuple[str, ...]) -> None:
        """Make the buckets that are missing."""
        for name in names:
            if not await self._call(self._client.bucket_exists, name):
                await self._call(self._client.make_bucket, name)

    async def _call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the client's blocking call in a thread; its errors come out as ours, and are counted."""
        began, outcome = time.perf_counter(), "cancelled"
        try:
            answer = await _in_thread(work, *args, **kwargs)
            outcome = "ok"
            return answer
        except ChorusError as error:
            outcome = error.code
            raise
        finally:
            self._metrics.ended(outcome, time.perf_counter() - began)


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except S3Error as error:
        raise _told(error) from None
    except (HTTPError, MinioException) as error:
        log.warning("object store unreachable", error=str(error))
        raise Unavailable(
            "The object store does not answer. Try again in a moment.", code="objects_unavailable"
        ) from None


def _told(error: S3Error) -> ChorusError:
    """What S3 said, in our words; keys of other guilds never appear, since nobody can name them."""
    if error.code in {"NoSuchKey", "NoSuchBucket", "NoSuchObject"}:
        return NotFound(
            f"The object {error.bucket_name}/{error.object_name} does not exist.", code="no_object"
        )
    if error.code == "AccessDenied":
        log.error("object store refuses", bucket=error.bucket_name, key=error.object_name)
        return NotPermitted(
            f"The object store does not permit this in the bucket {error.bucket_name}: "
            "whoever runs Chorus has to grant it (deploy/s3).",
            code="storage_not_permitted",
        )
    if error.code in {"SignatureDoesNotMatch", "InvalidAccessKeyId"}:
        return Misconfigured(f"CHORUS_S3_ACCESS_KEY, CHORUS_S3_SECRET_KEY: S3 refuses them ({error.code}).")
    return Unavailable(f"The object store failed ({error.code}). Try again.", code="objects_unavailable")


def open_store(
    settings: CommonSettings,
    public_endpoint: str | None = None,
    metrics: ObjectMetrics | None = None,
    *,
    patient: bool = True,
) -> ObjectStore:
    """The store that the settings name. Connects on first use; what fails is tried again by the `patient`.

    Links are made for `public_endpoint`, under which everybody reaches the same server.
    """
    client = _client(settings, settings.s3_endpoint, "CHORUS_S3_ENDPOINT", patient=patient)
    public = _client(settings, public_endpoint, "CHORUS_PUBLIC_S3_ENDPOINT") if public_endpoint else None
    return ObjectStore(client, public, metrics)


def _client(settings: CommonSettings, endpoint: str, setting: str, *, patient: bool = True) -> Minio:
    address = urlsplit(endpoint)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise Misconfigured(f"{setting}: {endpoint!r} is not http(s)://host:port.")
    read = READ_WITHIN if patient else LOOK_WITHIN
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_WITHIN, read=read),
        maxsize=16,
        retries=RETRIES if patient else False,
    )
    return Minio(
        endpoint=address.netloc,
        access_key=settings.s3_access_key.get_secret_value() or None,
        secret_key=settings.s3_secret_key.get_secret_value() or None,
        secure=address.scheme == "https",
        region=settings.s3_region,
        http_client=pool,
    )


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, read piece by piece."""
    with path.open("rb") as file:
        return sha256_of(file)


def sha256_of(file: IO[bytes]) -> str:
    """Hash of what is left of an open file, or of an object that comes, read piece by piece."""
    return hashlib.file_digest(cast("BufferedReader", file), "sha256").hexdigest()
