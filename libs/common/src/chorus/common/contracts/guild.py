"""What a guild has chosen.

KV settings  <guild>  →  GuildSettings

What is not chosen is not stored: an entry says what somebody wanted, and defaults may become better.
"""

import operator
import unicodedata
from collections.abc import Collection
from datetime import timedelta
from functools import partial
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, StringConstraints

from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.wire import Part, Time, Wire

FORGET_WITHIN_DAYS = 7
"""Until a model that learned from deleted words stops answering, unless a guild says otherwise."""


PREFIX = "!"
"""What commands begin with, unless a guild says otherwise."""
KEEP_REPLIES_DAYS = 30
"""How long replies are kept for those who rate and correct them, unless a guild says otherwise."""
MOST_COUNTED = 1000
"""The highest limit of what is counted."""
CHANNELS_CHOSEN = 500
"""Channels of a guild that may have choices of their own."""

Right = Literal["chat", "train", "manage"]
RIGHTS: tuple[Right, ...] = get_args(Right)
"""Each includes those before it."""
Counted = Literal["questions", "trainings"]
"""In an hour; in a day."""
Tuned = Literal[
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "max_tokens",
    "stop",
    "seed",
    "n",
]
"""What of `generation.Sampling` a guild and a channel may choose for all questions: all of it."""

Id = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
"""Discord's, of a person, a role or a channel."""


def _prefix(text: str) -> str:
    if not all(unicodedata.category(sign)[0] in "LNPS" for sign in text):
        raise ValueError("it has no spaces, and only signs that can be seen")
    if text.startswith(("/", "@", "<")):
        raise ValueError("Discord takes `/`, `@` and `<` for itself")
    if text[-1].isalnum():
        raise ValueError("it ends with a sign that is no letter and no digit, as in `?` or `c!`")
    return text


LANGUAGE = r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}"
"""A language's short code."""

Language = Annotated[str, StringConstraints(pattern=rf"^{LANGUAGE}$")]
SPEAKER = r"[A-Za-z0-9][\w./+-]{0,63}"
"""A voice's name."""

Speaker = Annotated[str, StringConstraints(pattern=rf"^{SPEAKER}$")]
Prefix = Annotated[str, StringConstraints(min_length=1, max_length=5), AfterValidator(_prefix)]


def _fitting(chosen: dict[Tuned, int | float | list[str]]) -> dict[Tuned, int | float | list[str]]:
    Sampling.model_validate(chosen)
    return chosen


SamplingChoices = Annotated[dict[Tuned, int | float | list[str]], AfterValidator(_fitting)]
"""Only what was chosen, each as `generation.Sampling` takes it."""


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


class Who(Part):
    """People of a server: everybody, or those with one of these roles, and these."""

    everybody: bool = Field(default=False, exclude_if=operator.not_)
    roles: list[Id] = Field(default=[], max_length=100, exclude_if=operator.not_)
    users: list[Id] = Field(default=[], max_length=500, exclude_if=operator.not_)

    def includes(self, user: str, roles: Collection[str]) -> bool:
        """Whether a person with these roles is meant."""
        return self.everybody or user in self.users or not set(roles).isdisjoint(self.roles)


NOBODY, EVERYBODY = Who(), Who(everybody=True)

Limit = Annotated[int, Field(ge=0, le=MOST_COUNTED)] | None
"""None is without one."""


class Limits(Part):
    """How much of something each person may have."""

    everybody: Limit = None
    roles: dict[Id, Limit] = Field(default={}, max_length=100, exclude_if=operator.not_)
    users: dict[Id, Limit] = Field(default={}, max_length=500, exclude_if=operator.not_)

    def of(self, user: str, roles: Collection[str]) -> int | None:
        """A person's own limit, or the widest of their roles', or everybody's."""
        if user in self.users:
            return self.users[user]
        limits = [self.roles[role] for role in roles if role in self.roles] or [self.everybody]
        known = [limit for limit in limits if limit is not None]
        return max(known) if len(known) == len(limits) else None


class ChannelSettings(Part):
    """What holds in one channel, and in its threads."""

    listen: bool = Field(default=False, exclude_if=operator.not_)
    """Whether all that is said is meant for the bot."""
    model: str | None = None
    """Who answers here: `name`, `name@3`, or `base`; None is the guild's voice."""
    voice_replies: bool = Field(default=False, exclude_if=operator.not_)
    """Whether answers are also spoken."""
    hear: bool = Field(default=True, exclude_if=bool)
    """Whether recordings that are said to the bot are written down and answered."""
    language: Language | None = None
    """In place of the guild's."""
    rights: dict[Right, Who] = Field(default={}, exclude_if=operator.not_)
    """In place of the guild's, each that was chosen: what is said here is for these people."""
    denied: Who = Field(default=NOBODY, exclude_if=partial(operator.eq, NOBODY))
    """Beside those who are denied everywhere."""
    sampling: SamplingChoices = Field(default={}, exclude_if=operator.not_)


class GuildSettings(Wire):
    """One guild's choices; what is absent follows the defaults below."""

    prefix: Prefix = Field(default=PREFIX, exclude_if=partial(operator.eq, PREFIX))
    """What commands begin with."""
    language: Language | None = None
    """In which models answer and words are spoken, where nobody says otherwise: `de`, `en-us`."""
    speaker: Speaker | None = None
    """Who says what is spoken, where they know the language (`speech.v1.voices`): `espeak`, `flite/rms`."""
    rights: dict[Right, Who] = Field(default={}, exclude_if=operator.not_)
    """Beside those who manage the server on Discord, who may do everything. Without a choice everybody
    chats, and nobody else trains or manages."""
    denied: Who = Field(default=NOBODY, exclude_if=partial(operator.eq, NOBODY))
    """Who may do nothing."""
    channels: dict[Id, ChannelSettings] = Field(
        default={}, max_length=CHANNELS_CHOSEN, exclude_if=operator.not_
    )
    sampling: SamplingChoices = Field(default={}, exclude_if=operator.not_)
    """Of all questions that do not say otherwise."""
    quotas: dict[Counted, Limits] = Field(default={}, exclude_if=operator.not_)
    """For all but those who manage the server on Discord."""
    keep_replies_days: int = Field(
        default=KEEP_REPLIES_DAYS, ge=0, le=30, exclude_if=partial(operator.eq, KEEP_REPLIES_DAYS)
    )
    """How long replies are kept with what was asked; with 0 none is."""

    keep_recordings: bool = Field(default=False, exclude_if=operator.not_)
    """Whether what people say in recordings is kept; otherwise it is deleted once it is written down."""

    voice: str | None = None
    """The model that answers: a name, or `base`. Until one is trained, the base answers."""
    promote: Literal["ask", "auto"] | None = None
    """What happens to a newly trained version: wait for a word, or answer with it at once."""

    names: bool = Field(default=False, exclude_if=operator.not_)
    """Whether models are told what people are called, when asked and in data; otherwise they are u1, u2, …"""
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

    def in_channel(self, channel: str | None) -> ChannelSettings:
        """What was chosen for a channel alone."""
        return self.channels.get(channel or "", ChannelSettings())

    def sampling_in(self, channel: str | None) -> SamplingChoices:
        """What questions in a channel begin with: the channel's choices, before the guild's."""
        return {**self.sampling, **self.in_channel(channel).sampling}

    def language_in(self, channel: str | None) -> str | None:
        """In which language models answer in a channel, and words are spoken."""
        return self.in_channel(channel).language or self.language

    def who(self, right: Right, channel: str | None = None) -> Who:
        """Who has a right in a channel, or where a channel has no choice of its own.

        Beside them have it those who manage the server, and those with a right that includes it.
        """
        rights = {**self.rights, **self.in_channel(channel).rights}
        return rights.get(right, EVERYBODY if right == "chat" else NOBODY)

    def denies(self, user: str, roles: Collection[str], channel: str | None) -> bool:
        """Whether a person with these roles may do nothing in a channel, here or anywhere."""
        return any(who.includes(user, roles) for who in (self.denied, self.in_channel(channel).denied))

    def promotes(self, guild: str) -> Literal["ask", "auto"]:
        """The policy in force: a Discord guild is asked, the console of one's own machine is not."""
        return self.promote or ("auto" if guild == LOCAL else "ask")
