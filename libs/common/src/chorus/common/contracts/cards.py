"""Where a training is shown on Discord, so that its card goes on in the same message whatever is restarted.

It is written down before the job is queued: no job goes on that was begun on Discord and is shown nowhere.

    KV cards  <guild>.<job>  →  JobCard      for 30 days after its last change

    nobody's ─► held      a process of the gateway that is about to follow it, for `HELD_FOR`
    held     ─► held      the same one, renewed; any other one once that time is over
    held     ─► nobody's  the one that leaves in order
    held     ─► nobody's  the one that has shown how the job ended, or that it is paused

Every step is a compare-and-set on what was read: of several processes one edits the message. Who shows the
job somewhere else writes the card anew, whoever holds it, and whoever held it finds that out.
"""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field, NonNegativeInt

from chorus.common.contracts.names import Guild, JobId
from chorus.common.contracts.wire import Time, Wire

HELD_FOR = timedelta(seconds=30)
"""Without a renewal; whoever follows a card renews it every `LOOK_EVERY`."""
LOOK_EVERY = 10.0
"""Seconds between looks for cards that nobody follows: a killed process's are taken over within 40 s."""

CardState = Literal["live", "paused", "ended"]

SAID_AT_MOST = 1500
"""Characters of the lines that stay, of the 2000 that a message has."""


class JobCard(Wire):
    """One training's card."""

    guild: Guild
    job: JobId
    channel: str
    """Discord's id of the channel, or of the thread."""
    message: str
    """Discord's id of the message."""
    posted_at: Time
    """Edits of a message that is older than an hour are rationed."""
    who: str
    """Who asked for it."""
    said: str = Field(default="", max_length=SAID_AT_MOST)
    """The lines above the figures, which stay."""
    below: NonNegativeInt = 0
    """How many messages stand below it by now, of those that follow the job's end."""
    holder: str | None = None
    """The process that follows it."""
    held_until: Time | None = None
    state: CardState = "live"
    """Whether somebody has to follow it: only while it is live. Who resumes the job makes it so again."""

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return card_key(self.guild, self.job)

    def is_free(self, holder: str, at: datetime) -> bool:
        """Whether this process may follow it at that time."""
        unheld = self.holder in (None, holder) or self.held_until is None or self.held_until < at
        return self.state == "live" and unheld

    def held(self, holder: str, at: datetime) -> "JobCard":
        """The same, followed by this process from now on."""
        return self.model_copy(update={"holder": holder, "held_until": at + HELD_FOR})

    def let_go(self, state: CardState) -> "JobCard":
        """The same, followed by nobody."""
        return self.model_copy(update={"holder": None, "held_until": None, "state": state})


def card_key(guild: str, job: str) -> str:
    """Key of a job's card."""
    return f"{guild}.{job}"
