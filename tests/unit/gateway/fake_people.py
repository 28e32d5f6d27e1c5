"""Doubles of the ports that know people: who is in a server, and what they have had."""

from collections.abc import Callable, Mapping

from chorus.common.contracts.guild import Counted
from chorus.common.contracts.quotas import Used, quota_key


class FakePeople:
    """A server with two roles and two members. `hidden` are channels that whoever asks may not read."""

    def __init__(self) -> None:
        self.hidden: set[str] = set()

    def roles(self) -> Mapping[str, str]:
        return {"501": "Teachers", "502": "Quiet Ones"}

    async def member(self, person: str) -> str | None:
        return {"42": "marit", "43": "bo"}.get(person)

    async def may_read(self, channel: str) -> bool:
        return channel not in self.hidden


class FakeQuotas:
    def __init__(self) -> None:
        self.used: dict[str, Used] = {}

    async def change(self, guild: str, person: str, what: Counted, changed: Callable[[Used], Used]) -> None:
        key = quota_key(guild, person, what)
        self.used[key] = changed(self.used.get(key, Used()))
