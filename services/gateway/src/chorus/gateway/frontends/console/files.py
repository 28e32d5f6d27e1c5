"""`file=PATH` in the console names a file on one's own disk: whoever types here may read it anyway."""

import asyncio
from pathlib import Path

from chorus.common.errors import InvalidInput, NotFound, TooLarge
from chorus.gateway.commands.ports import Upload

MIB = 1024 * 1024


class LocalFiles:
    """`ports.Files` on this machine's disk."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def read(self, name: str) -> Upload:
        """The file at a path, `~` and the current folder understood."""
        path = Path(name).expanduser()  # noqa: ASYNC240 - no system call worth a thread
        try:
            size = path.stat().st_size
            if size > self._max_bytes:
                raise TooLarge(
                    f"{name} has {size / MIB:.1f} MiB; at most {self._max_bytes // MIB} MiB are taken. "
                    "Split it, or raise CHORUS_MAX_UPLOAD.",
                    param="file",
                )
            return Upload(path.name, await asyncio.to_thread(path.read_bytes))
        except FileNotFoundError:
            raise NotFound(f"There is no file {name}.", code="file_not_found", param="file") from None
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise InvalidInput(
                f"{name} cannot be read: {reason}.", code="file_unreadable", param="file"
            ) from None
