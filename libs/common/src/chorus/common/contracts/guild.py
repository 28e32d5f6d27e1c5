"""What a guild has chosen.

KV settings  <guild>  →  GuildSettings
"""

from typing import Literal

from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.wire import Wire


class GuildSettings(Wire):
    """One guild's choices; what is absent follows the defaults below."""

    voice: str | None = None
    """The model that answers: a name, or `base`. Until one is trained, the base answers."""
    promote: Literal["ask", "auto"] | None = None
    """What happens to a newly trained version: wait for a word, or answer with it at once."""

    def promotes(self, guild: str) -> Literal["ask", "auto"]:
        """The policy in force: a Discord guild is asked, the console of one's own machine is not."""
        return self.promote or ("auto" if guild == LOCAL else "ask")
