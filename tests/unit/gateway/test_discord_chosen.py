"""What servers have chosen, read once for many messages, and in spite of an outage."""

import asyncio

from chorus.common.contracts.guild import GuildSettings
from chorus.common.errors import Unavailable
from chorus.gateway.frontends.discord.chosen import Chosen
from tests.unit.gateway.fake_data import FakeGuilds


class Counted(FakeGuilds):
    """Guilds that count how often they are asked, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.away = False

    async def settings(self, guild: str) -> GuildSettings:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("The bus is away.", code="bus_unavailable")
        return GuildSettings(prefix="?")


async def test_many_messages_cost_one_read_and_a_change_is_heeded_at_once() -> None:
    guilds = Counted()
    chosen = Chosen(guilds)
    read = await asyncio.gather(*(chosen.of("100") for _ in range(50)))
    assert read == [GuildSettings(prefix="?")] * 50
    await chosen.of("200")
    assert guilds.asked == 2
    chosen.forget("100")
    await chosen.of("100")
    assert guilds.asked == 3


async def test_what_is_read_during_a_change_is_read_again() -> None:
    guilds = Counted()
    chosen = Chosen(guilds)
    before = asyncio.create_task(chosen.of("100"))
    await asyncio.sleep(0)  # it is being read
    chosen.forget("100")
    await asyncio.gather(before, chosen.of("100"))
    assert guilds.asked == 2
    await chosen.of("100")
    assert guilds.asked == 2


async def test_what_was_chosen_holds_while_it_cannot_be_read() -> None:
    guilds = Counted()
    chosen = Chosen(guilds, fresh=0.0)
    assert await chosen.of("100") == GuildSettings(prefix="?")
    guilds.away = True
    assert await chosen.of("100") == GuildSettings(prefix="?")
    assert await chosen.of("200") is None, "who may do what there is not guessed"
