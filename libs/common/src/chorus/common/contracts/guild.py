"""What a guild has chosen.

KV settings  <guild>  →  GuildSettings
"""

import operator
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


class Exchange(Part):
    """A question and its answer, shown to the model before each conversation."""

    user: str = Field(min_length=1, max_length=2000)
    bot: str = Field(min_length=1, max_length=2000)
    by: str
    """Whoever gave it: it goes when their words are deleted."""


EXAMPLES_KEPT = 32
"""Exchanges that a guild may show its models."""


class Persona(Part):
    """Who the model is to be: the system message."""

    text: str = Field(min_length=1, max_length=4000)
    by: str
    """Whoever gave it: it goes when their words are deleted."""


class GuildSettings(Wire):
    """One guild's choices; what is absent follows the defaults below."""

    voice: str | None = None
    """The model that answers: a name, or `base`. Until one is trained, the base answers."""
    promote: Literal["ask", "auto"] | None = None
    """What happens to a newly trained version: wait for a word, or answer with it at once."""

    dataset: str | None = None
    """What a bare `!train` uses: `name@version`."""
    persona: Persona | None = None
    """In all channels but those that have their own."""
    personas: dict[str, Persona] = Field(default={}, max_length=500, exclude_if=operator.not_)
    """By channel."""
    examples: list[Exchange] = Field(default=[], max_length=EXAMPLES_KEPT, exclude_if=operator.not_)
    """What models are shown before each conversation (few-shot), without training."""

    notice: Notice | None = None
    """Without it, what members type is not learned from (`contracts.consent`)."""
    forget_within_days: int | None = Field(default=None, ge=0, le=30)
    """After a deletion, until models that learned from it are blocked."""

    @property
    def forget_within(self) -> timedelta:
        """The deadline in force."""
        days = FORGET_WITHIN_DAYS if self.forget_within_days is None else self.forget_within_days
        return timedelta(days=days)

    def persona_in(self, channel: str | None) -> str | None:
        """Who the model is to be in a channel."""
        persona = self.personas.get(channel or "", self.persona)
        return persona and persona.text

    def promotes(self, guild: str) -> Literal["ask", "auto"]:
        """The policy in force: a Discord guild is asked, the console of one's own machine is not."""
        return self.promote or ("auto" if guild == LOCAL else "ask")
