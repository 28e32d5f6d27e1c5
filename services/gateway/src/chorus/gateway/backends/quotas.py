"""What people have had of what is counted: entries in the bucket `quotas`, which forgets them after a day."""

from collections.abc import Callable

from chorus.common.bus.state import Bucket
from chorus.common.contracts.guild import Counted
from chorus.common.contracts.quotas import Used, quota_key


class BusQuotas:
    """`ports.Quotas`."""

    def __init__(self, used: Bucket[Used]) -> None:
        self._used = used

    async def change(self, guild: str, person: str, what: Counted, changed: Callable[[Used], Used]) -> None:
        """Compare and set, until it holds: several gateways count together."""
        await self._used.change(quota_key(guild, person, what), changed, initial=Used())
