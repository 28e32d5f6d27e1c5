"""What a guild has chosen.

KV settings  <guild>  →  GuildSettings
"""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.wire import Part, Time, Wire

FORGET_WITHIN_DAYS = 7
"""Until a model that learned from deleted words stops answering, unless a guild says otherwise."""


class Notice(Part):
    """Somebody who runs the guild has confirmed that its members' words may be learned from."""

    by: str
    at: Time
    text: str
    """What they confirmed, word for word."""


class GuildSettings(Wire):
    """One guild's choices; what is absent follows the defaults below."""

    voice: str | None = None
    """The model that answers: a name, or `base`. Until one is trained, the base answers."""
    promote: Literal["ask", "auto"] | None = None
    """What happens to a newly trained version: wait for a word, or answer with it at once."""

    dataset: str | None = None
    """What a bare `!train` uses: `name@version`."""
    notice: Notice | None = None
    """Without it, what members type is not learned from (`contracts.consent`)."""
    forget_within_days: int | None = Field(default=None, ge=0, le=30)
    """After a deletion, until models that learned from it are blocked."""

    @property
    def forget_within(self) -> timedelta:
        """The deadline in force."""
        days = FORGET_WITHIN_DAYS if self.forget_within_days is None else self.forget_within_days
        return timedelta(days=days)

    def promotes(self, guild: str) -> Literal["ask", "auto"]:
        """The policy in force: a Discord guild is asked, the console of one's own machine is not."""
        return self.promote or ("auto" if guild == LOCAL else "ask")
