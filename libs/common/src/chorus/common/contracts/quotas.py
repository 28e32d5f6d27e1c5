"""What people have had of what a guild counts (`contracts.guild`, `Limits`).

KV quotas  <guild>.<person>.<what>  →  Used      for a day
"""

from pydantic import Field

from chorus.common.contracts.guild import MOST_COUNTED, Counted
from chorus.common.contracts.wire import Time, Wire


class Used(Wire):
    """When one person had each of those that may still count, oldest first."""

    at: list[Time] = Field(default=[], max_length=MOST_COUNTED)


def quota_key(guild: str, person: str, what: Counted) -> str:
    """Key of the entry."""
    return f"{guild}.{person}.{what}"
