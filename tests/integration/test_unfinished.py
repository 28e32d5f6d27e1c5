"""What is noted of answers that are being written, on a real bucket."""

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.cards import HELD_FOR
from chorus.common.contracts.topology import UNFINISHED
from chorus.common.contracts.unfinished import Unfinished
from chorus.common.contracts.wire import now
from chorus.gateway.backends.unfinished import BusUnfinished
from tests.support.servers import Servers


async def test_what_is_done_or_anothers_is_not_held_again(servers: Servers, guild: str) -> None:
    begun = now()
    answer = Unfinished(
        guild=guild, asked="1", room="2", message="3", is_message=True, holder="us", held_until=begun
    )
    async with servers.connected("gateway") as connection:
        kept = await open_bucket(connection, UNFINISHED, Unfinished)
        store = BusUnfinished(kept)
        await store.note(answer)
        await store.renew(answer)
        entry = await kept.get(answer.key)
        assert entry is not None
        assert entry.value.held_until >= begun + HELD_FOR
        theirs = await kept.change(answer.key, lambda old: old.held("them", begun))
        await store.renew(answer)
        assert await kept.get(answer.key) == theirs
        await store.done(answer)
        await store.renew(answer)
        assert await kept.get(answer.key) is None
        assert await store.left("them", lambda _: True) == []
