"""Who answers: the base, one of its adapters, or a whole model; ready before it takes an engine's slot."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from chorus.common.contracts import generation
from chorus.common.contracts.generation import Waiting
from chorus.inference.generation.catalogue import Catalogue, Known
from chorus.inference.generation.checks import Served
from chorus.inference.generation.host import Host
from chorus.inference.generation.ports import Adapter, Engine, Tell
from chorus.inference.generation.residency import Residency
from chorus.inference.generation.waiting import told
from chorus.inference.generation.whole import WholeModels


@dataclass(frozen=True)
class Voice:
    """Somebody who can be asked, now."""

    name: str
    """`name@3`, or the base's name."""
    engine: Engine
    served: Served
    remembers: int | None
    """How many earlier messages it makes use of; None for as many as fit."""
    adapter: Adapter | None


class Voices:
    """All that one process can answer as."""

    def __init__(
        self,
        host: Host,
        served: Served,
        remembers: int | None,
        catalogue: Catalogue,
        residency: Residency,
        wholes: WholeModels,
    ) -> None:
        self._host = host
        self._base = Voice(served.base.name, host, served, remembers, None)
        self._catalogue = catalogue
        self._residency = residency
        self._wholes = wholes

    async def ready(self, guild: str, model: str | None, tell: Tell) -> None:
        """Begin what takes long, and wait for it; whoever asked is told.

        Raises `NotFound` for a model that the guild does not have or may not use, and what is wrong with it.
        """
        choices = await self._catalogue.choices(guild, model)
        if choices and choices[0][1].form == "whole":
            await self._wholes.ready(guild, *choices[0], tell)
            return
        await self._host.ready(tell)
        if choices and not self._residency.is_loaded(guild, choices[0]):
            why = Waiting(code="loading", text=f"{choices[0][0]} is being fetched and loaded.")
            await told(self._residency.ready(guild, choices), tell, why)

    @asynccontextmanager
    async def speaking(self, guild: str, model: str | None) -> AsyncGenerator[Voice]:
        """The voice, which stays as it is meanwhile: loaded, and its files on the disk. Raises as `ready`."""
        choices = await self._catalogue.choices(guild, model)
        if not choices:
            yield self._base
        elif choices[0][1].form == "whole":
            name = choices[0][0]
            async with self._wholes.use(guild, *choices[0]) as ready:
                yield Voice(name, ready.host, ready.served, ready.remembers, None)
        else:
            async with self._residency.use(guild, choices) as ((name, _), adapter):
                yield Voice(name, self._host, self._base.served, self._base.remembers, adapter)

    def at_hand(self, guild: str | None, *, instance: str, waiting: int) -> generation.Served:
        """What this process serves at this moment; the models of one guild, or of all."""
        wholes = self._wholes.listing(guild)
        running = {(each.guild, each.model) for each in wholes}  # to the residency they are files on the disk
        others = [each for each in self._residency.listing(guild) if (each.guild, each.model) not in running]
        return generation.Served(
            instance=instance,
            base=self._base.served.base,
            state=self._host.state,
            until=self._host.until,
            resident=self._residency.resident,
            capacity=self._host.capacity,
            waiting=waiting,
            seconds=self._host.seconds,
            models=[*wholes, *others],
        )

    def keep_only(self, names: Mapping[str, Known]) -> None:
        """All that may stay, as `Residency.keep_only`; the rest leaves the engines and the disk."""
        self._residency.keep_only(names)
        self._wholes.keep_only(names)

    # --- the GPU's other user --------------------------------------------------------------------
    async def sleep(self, until: datetime) -> None:
        """Refuse what is asked from now on, finish what is being written, give the GPU back."""
        await asyncio.gather(self._host.sleep(until), self._wholes.sleep(until))

    async def wake(self) -> None:
        """Answer again; whole models start with their next question."""
        self._wholes.wake()
        await self._host.wake()
