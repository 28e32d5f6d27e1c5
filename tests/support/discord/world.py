"""People, servers, channels and messages, in Discord's JSON."""

import itertools
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

Payload = dict[str, Any]

EPOCH = 1_420_070_400_000  # milliseconds: the beginning of 2015, from which Discord counts
VIEW, SEND, HISTORY, MANAGE_SERVER = 1 << 10, 1 << 11, 1 << 16, 1 << 5
CONNECT, SPEAK, MANAGE_THREADS = 1 << 20, 1 << 21, 1 << 34
TEXT, PRIVATE, VOICE, CATEGORY, NEWS, STAGE, FORUM = 0, 1, 2, 4, 5, 13, 15
NEWS_THREAD, PUBLIC_THREAD, PRIVATE_THREAD = 10, 11, 12
_count = itertools.count(1)


def snowflake(at: datetime | None = None) -> str:
    """An id as Discord makes them: the time, then a count."""
    seconds = at.timestamp() if at else time.time()
    return str(((int(seconds * 1000) - EPOCH) << 22) | (next(_count) & 0x3FFFFF))


def time_of(snowflake: str) -> str:
    """When something was made, by its id."""
    return datetime.fromtimestamp(((int(snowflake) >> 22) + EPOCH) / 1000, UTC).isoformat()


def now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True)
class User:
    """A person, or a bot."""

    name: str
    bot: bool = False
    id: str = field(default_factory=snowflake)

    @property
    def payload(self) -> Payload:
        return {
            "id": self.id,
            "username": self.name,
            "discriminator": "0000" if self.bot else "0",
            "global_name": None,
            "avatar": None,
            "bot": self.bot,
            "public_flags": 0,
        }


@dataclass
class Channel:
    """A channel of a server, a private one, or a thread in another. A forum's posts are threads."""

    guild: "Guild | None"
    name: str = "general"
    type: int = TEXT
    parent: "Channel | None" = None
    archived: bool = False
    closed_to: set[str] = field(default_factory=set)
    """Ids of people and bots who may not read it, as everybody can see."""
    members: set[str] = field(default_factory=set)
    """Ids of people who were added to it, where it is a private thread."""
    latest: str | None = None
    """Id of the last message."""
    user_limit: int = 0
    """How many people a voice channel takes; 0 is any number."""
    id: str = field(default_factory=snowflake)

    @property
    def payload(self) -> Payload:
        return self._thread if self.parent else self._channel

    @property
    def _channel(self) -> Payload:
        return {
            "id": self.id,
            "type": self.type,
            "name": self.name,
            "position": 0,
            "permission_overwrites": [
                {"id": user, "type": 1, "allow": "0", "deny": str(VIEW)} for user in sorted(self.closed_to)
            ],
            "nsfw": False,
            "parent_id": None,
            "topic": None,
            "last_message_id": self.latest,
            "rate_limit_per_user": 0,
            **({"bitrate": 64000, "user_limit": self.user_limit} if self.type in (VOICE, STAGE) else {}),
        }

    @property
    def _thread(self) -> Payload:
        assert self.parent
        assert self.guild
        return {
            "id": self.id,
            "type": self.type,
            "name": self.name,
            "guild_id": self.guild.id,
            "parent_id": self.parent.id,
            "owner_id": self.guild.owner.id,
            "last_message_id": self.latest,
            "message_count": 1,
            "member_count": 1,
            "thread_metadata": {
                "archived": self.archived,
                "auto_archive_duration": 1440,
                "archive_timestamp": time_of(self.id),
                "locked": False,
            },
        }


@dataclass
class Guild:
    """A server. `admins` may manage it; everybody may read and write."""

    name: str
    owner: User
    bot: User
    admins: list[User] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    threads: list[Channel] = field(default_factory=list)
    id: str = field(default_factory=snowflake)
    admin_role: str = field(default_factory=snowflake)
    bot_role: str = field(default_factory=snowflake)
    """What Discord made for the bot when it came."""
    voices: dict[str, Payload] = field(default_factory=dict)
    """Who is in which voice channel, by their ids."""
    system: Channel | None = None
    """Where Discord itself tells who has come."""
    joined: str = field(default_factory=now)
    """When the bot came."""

    def channel(self, name: str = "general", kind: int = TEXT) -> Channel:
        """A new channel."""
        self.channels.append(Channel(self, name, kind))
        return self.channels[-1]

    def member(self, user: User) -> Payload:
        """Who the person is here."""
        return {
            "roles": [self.admin_role] if user in self.admins else [],
            "joined_at": self.joined,
            "deaf": False,
            "mute": False,
            "flags": 0,
            "nick": None,
            "avatar": None,
            "pending": False,
        }

    def permissions(self, user: User) -> int:
        """What the person may do here."""
        everybody, admins = VIEW | SEND | HISTORY | CONNECT | SPEAK, MANAGE_SERVER | MANAGE_THREADS
        return everybody | (admins if user in self.admins or user == self.owner else 0)

    def _role(self, role: str, name: str, position: int, permissions: int) -> Payload:
        colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
        return {
            "id": role,
            "name": name,
            "permissions": str(permissions),
            "position": position,
            "color": 0,
            "colors": colors,
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }

    @property
    def payload(self) -> Payload:
        lists = (
            "emojis", "stickers", "features", "presences", "stage_instances",
            "guild_scheduled_events", "soundboard_sounds",
        )  # fmt: skip
        return {
            **{name: [] for name in lists},
            "threads": [t.payload for t in self.threads if not t.archived and t.type != PRIVATE_THREAD],
            "voice_states": list(self.voices.values()),
            "id": self.id,
            "name": self.name,
            "owner_id": self.owner.id,
            "roles": [
                self._role(self.id, "@everyone", 0, VIEW | SEND | HISTORY | CONNECT | SPEAK),
                self._role(self.admin_role, "admins", 1, MANAGE_SERVER | MANAGE_THREADS),
                {**self._role(self.bot_role, self.bot.name, 2, 0), "tags": {"bot_id": self.bot.id}},
            ],
            "channels": [channel.payload for channel in self.channels],
            "members": [{"user": self.bot.payload, **self.member(self.bot)}],
            "member_count": 2,
            "large": False,
            "unavailable": False,
            "joined_at": self.joined,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "premium_tier": 0,
            "premium_progress_bar_enabled": False,
            "preferred_locale": "en-US",
            "system_channel_flags": 0,
            "afk_timeout": 300,
            "afk_channel_id": None,
            "system_channel_id": self.system.id if self.system else None,
        }


@dataclass(frozen=True)
class Attachment:
    """A file on the CDN. `claimed` is the size that Discord tells, if it is another."""

    name: str
    data: bytes
    claimed: int | None = None
    about: Payload = field(default_factory=dict)
    """Of a voice message: its length and waveform."""
    content_type: str = "application/octet-stream"
    id: str = field(default_factory=snowflake)

    @property
    def path(self) -> str:
        return f"/attachments/{self.id}/{self.name}"

    def payload(self, cdn: str) -> Payload:
        return {
            "id": self.id,
            "filename": self.name,
            "size": len(self.data) if self.claimed is None else self.claimed,
            "url": cdn + self.path,
            "proxy_url": cdn + self.path,
            "content_type": self.content_type,
            **self.about,
        }


@dataclass
class Message:
    """A message, with all that it ever said, and when (in the loop's seconds)."""

    HIDDEN: ClassVar[int] = 1 << 6
    """Flag of what is for one person's eyes."""
    VOICE: ClassVar[int] = 1 << 13
    """Flag of what is to be heard."""

    channel: Channel
    author: User
    content: str
    attachments: list[Attachment] = field(default_factory=list)
    reply_to: "Message | None" = None
    webhook: str | None = None
    type: int = 0
    deleted: bool = False
    components: list[Payload] = field(default_factory=list)
    only_for: User | None = None
    """Whose eyes it is for, if not for everybody's."""
    versions: list[tuple[float, str]] = field(default_factory=list)
    id: str = field(default_factory=snowflake)

    @property
    def is_voice(self) -> bool:
        """Whether Discord shows it as something said."""
        return any(file.about for file in self.attachments)

    def payload(self, cdn: str, people: dict[str, User], *, whole: bool = True) -> Payload:
        """`whole` with the message that it replies to, which comes without the one that it replied to."""
        mentioned = [people[i] for i in dict.fromkeys(re.findall(r"<@!?(\d+)>", self.content)) if i in people]
        told: Payload = {
            "id": self.id,
            "channel_id": self.channel.id,
            "author": self.author.payload,
            "content": self.content,
            "timestamp": time_of(self.id),
            "edited_timestamp": now() if len(self.versions) > 1 else None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [user.payload for user in mentioned],
            "mention_roles": re.findall(r"<@&(\d+)>", self.content),
            "attachments": [attachment.payload(cdn) for attachment in self.attachments],
            "embeds": [],
            "components": self.components,
            "pinned": False,
            "type": self.type or (19 if self.reply_to else 0),
            "flags": (self.HIDDEN if self.only_for else 0) | (self.VOICE if self.is_voice else 0),
        }
        if self.webhook:
            told["webhook_id"] = self.webhook
        if self.reply_to:
            told["message_reference"] = {
                "message_id": self.reply_to.id,
                "channel_id": self.channel.id,
                "type": 0,
            }
            if whole:
                gone = self.reply_to.deleted
                told["referenced_message"] = None if gone else self.reply_to.payload(cdn, people, whole=False)
        return told

    def event(self, cdn: str, people: dict[str, User]) -> Payload:
        """As the Gateway tells it: in a server with who the author is there."""
        told = self.payload(cdn, people)
        if self.channel.guild:
            told["guild_id"] = self.channel.guild.id
            if not self.webhook:
                told["member"] = self.channel.guild.member(self.author)
        return told
