"""What people want, and what is kept of their words: asked of the trainer, who does it, and read in KV."""

from typing import Literal

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
from chorus.common.contracts.consent import (
    EXPORT,
    FORGET,
    SET,
    ConsentRecord,
    Exported,
    ExportPerson,
    Forget,
    Forgotten,
    SetConsent,
    consent_key,
)

FORGOTTEN_WITHIN = 1800.0  # seconds; every dataset with these words is built anew
EXPORTED_WITHIN = 300.0  # seconds


class BusPrivacy:
    """`ports.Privacy` over `consent.v1.*` and the bucket `consent`."""

    def __init__(self, connection: Connection, records: Bucket[ConsentRecord]) -> None:
        self._connection = connection
        self._records = records

    async def record(self, guild: str, person: str) -> ConsentRecord | None:
        """The person's entry."""
        entry = await self._records.get(consent_key(guild, person))
        return entry.value if entry else None

    async def opt(
        self, guild: str, person: str, state: Literal["in", "out"], *, names: list[str], said_by: str
    ) -> ConsentRecord:
        """Have it recorded."""
        question = SetConsent(guild=guild, person=person, state=state, names=names, said_by=said_by)
        return await ask(self._connection, SET, question, ConsentRecord)

    async def forget(self, guild: str, person: str, *, names: list[str], said_by: str) -> Forgotten:
        """Have the person's words deleted."""
        question = Forget(guild=guild, person=person, names=names, said_by=said_by)
        return await ask(self._connection, FORGET, question, Forgotten, within=FORGOTTEN_WITHIN)

    async def export(self, guild: str, person: str, *, names: list[str]) -> Exported:
        """Have the person's words gathered."""
        question = ExportPerson(guild=guild, person=person, names=names)
        return await ask(self._connection, EXPORT, question, Exported, within=EXPORTED_WITHIN)
