"""How long the bus has been away, for those who do not want to wait for it."""

import asyncio

from chorus.common.errors import Unavailable

CODE = "bus_unavailable"


class Absence:
    """Felt once the bus has been away for `after` seconds, until it is back; with None it never is."""

    def __init__(self, after: float | None) -> None:
        self._after = after
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.felt: asyncio.Future[None] = self._loop.create_future()
        """Done while the absence is felt."""

    def begin(self) -> None:
        """The bus is away from now on."""
        if self._after is not None and self._timer is None:
            self._timer = self._loop.call_later(self._after, self.felt.set_result, None)

    def end(self) -> None:
        """The bus is back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.felt.done():
            self.felt = self._loop.create_future()

    def refuse(self) -> None:
        """Raise `Unavailable` while the absence is felt."""
        if self.felt.done():
            raise bus_away()


def bus_away() -> Unavailable:
    """The error for what cannot be asked, or is not answered, since the bus is away."""
    return Unavailable(
        "The message bus (NATS) is away, and nothing can be asked without it. Try again in a minute.",
        code=CODE,
    )
