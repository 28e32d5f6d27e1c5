"""Which opinions people who review were shown: nothing is learned that nobody has looked at."""

from collections.abc import Iterable
from datetime import datetime

from chorus.common.contracts.feedback import Opinion
from chorus.gateway.commands.recent import Recent

REVIEWERS = 1000  # the one who looked longest ago looks again; so do all after a restart


class Reviewed:
    """What each reviewer of a guild was shown, as it was then."""

    def __init__(self) -> None:
        self._shown: Recent[tuple[str, str], dict[str, datetime]] = Recent(REVIEWERS)

    def show(self, guild: str, person: str, opinions: Iterable[Opinion]) -> None:
        """Note that somebody sees these, as they are."""
        before = self._shown.get((guild, person)) or {}
        self._shown.put((guild, person), before | {one.key: one.at for one in opinions})

    def decided(self, guild: str, person: str, opinions: Iterable[Opinion]) -> None:
        """Note that these do not wait any more."""
        done = {one.key for one in opinions}
        before = self._shown.get((guild, person)) or {}
        self._shown.put((guild, person), {key: at for key, at in before.items() if key not in done})

    def has_seen(self, guild: str, person: str, opinion: Opinion) -> bool:
        """Whether somebody was shown it, and it has not changed since."""
        return (self._shown.get((guild, person)) or {}).get(opinion.key) == opinion.at
