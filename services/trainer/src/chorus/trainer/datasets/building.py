"""From uploaded files, or from an older version's records, to a new version: by a child process.

Who opts out while it runs must not be in the result. So the ledger is read before the build and again
after the version is there; if it has changed meanwhile, what was built is withdrawn and built anew.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from chorus.common.contracts import storage
from chorus.common.contracts.datasets import (
    Basis,
    Building,
    BuildOptions,
    Dataset,
    Import,
    Piece,
    Source,
)
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, Conflict, InternalError, InvalidInput, NotPermitted, TooLarge
from chorus.common.objects import ObjectStore
from chorus.trainer.curation.card import OPTED_OUT
from chorus.trainer.curation.orders import (
    REPORT,
    BuildOrder,
    Built,
    Failed,
    Order,
    OrderedFile,
    PreviewOrder,
    Report,
    Shown,
)
from chorus.trainer.datasets.consent import Consents, Ledger
from chorus.trainer.datasets.library import Library
from chorus.trainer.process import Program, Standby
from chorus.trainer.scratch import scratch

AT_ONCE = 2  # builds; each takes a core, and up to `Limits.memory`
TRIES = 5  # builds, while people keep changing their minds

PROGRAM: Program[Report] = Program("curator", "curation", REPORT, (Built, Shown, Failed))

OPTED_OUT_MEANWHILE = "somebody opted out while it was built"

Result = TypeVar("Result", Built, Shown)
Tell = Callable[[Building], Awaitable[None]]


def curators(niceness: int = 0) -> Standby[Report]:
    """Processes that build, and step back so much for others."""
    return Standby(PROGRAM, niceness)


@dataclass(frozen=True)
class Limits:
    """What one build may take."""

    memory: int
    """Bytes."""
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What to build, from what, for whom. Either `sources` are read, or the records of `earlier`."""

    guild: str
    name: str
    contributor: str
    label: bool
    basis: Basis
    options: BuildOptions
    sources: tuple[Source, ...] = ()
    earlier: Dataset | None = None
    replaces: Dataset | None = None
    """A version that goes when this one is there."""
    after: int | None = None
    """The newest version that it goes on from, as `contracts.datasets.Import` has it."""


class Builder:
    """Builds dataset versions with the tokenizer of one base model."""

    def __init__(
        self,
        library: Library,
        ledger: Ledger,
        store: ObjectStore,
        curators: Standby[Report],
        *,
        base: str,
        folder: Path,
        limits: Limits,
    ) -> None:
        self._library = library
        self._ledger = ledger
        self._store = store
        self._curators = curators
        self._base = base
        self._folder = folder
        self._limits = limits
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def build(self, plan: Plan, tell: Tell) -> Dataset:
        """Read, build, store. Raises what is wrong with the data, in words for people."""
        if not all(source.file.belongs_to(plan.guild, storage.FILES) for source in plan.sources):
            raise NotPermitted("This file belongs to another guild.", code="other_guild")
        if self._turns.locked():
            await tell(Building(stage="waiting for another build to end"))
        async with self._turns:
            return await self._built(plan, tell)

    async def _built(self, plan: Plan, tell: Tell) -> Dataset:
        """Build until nobody has changed their mind meanwhile."""
        began = now()
        for _ in range(TRIES):
            consents = await self._ledger.consents(plan.guild)
            dataset: Dataset | None = None
            try:
                dataset = await self._once(plan, consents, tell)
            finally:
                if plan.replaces is not None and plan.replaces != dataset:
                    await self._library.withdraw(plan.replaces, OPTED_OUT_MEANWHILE)
            after = await self._ledger.consents(plan.guild)
            if after.of(plan.basis.way) == consents.of(plan.basis.way):
                return dataset
            # Not from the upload again: that goes with the version that has what nobody may keep. One that
            # was there before stays as it is.
            ours = dataset if dataset.created_at >= began else None
            plan = replace(plan_again(dataset), sources=(), replaces=ours)
        if plan.replaces is not None:
            await self._library.withdraw(plan.replaces, OPTED_OUT_MEANWHILE)
        raise Conflict("People opt in and out too quickly to build a dataset now. Try again.")

    async def _once(self, plan: Plan, consents: Consents, tell: Tell) -> Dataset:
        """One build, and its version."""
        async with scratch(self._folder, "build-") as folder:
            order = await self._order(plan, consents, folder, tell)
            built = await self._run(order, folder, Built, tell)
            await tell(Building(stage="storing"))
            return await self._stored(plan, built, Path(order.out))

    async def preview(self, dataset: Dataset, count: int) -> list[list[Piece]]:
        """A few examples as a model will see them."""
        async with scratch(self._folder, "preview-") as folder:
            examples = folder / "examples.jsonl"
            await self._store.get_file(dataset.examples, examples)
            order = PreviewOrder(
                base=self._base, examples=str(examples), count=count, memory=self._limits.memory
            )
            return (await self._run(order, folder, Shown, unheard)).samples

    async def _order(self, plan: Plan, consents: Consents, folder: Path, tell: Tell) -> BuildOrder:
        """Fetch what is read, and say what is to be done with it."""
        out = folder / "out"
        out.mkdir()
        order = BuildOrder(
            base=self._base,
            out=str(out),
            options=plan.options,
            label=plan.label,
            contributor=plan.contributor,
            opted_out=sorted(consents.out),
            out_names=sorted(consents.out_names),
            only=sorted(consents.opted_in) if plan.basis.way == "mined" else None,
            memory=self._limits.memory,
        )
        await tell(Building(stage="fetching"))
        if plan.earlier is not None:
            records = folder / "records.jsonl"
            await self._store.get_file(plan.earlier.records, records)
            return order.model_copy(update={"records": str(records), "format": plan.earlier.card.format})
        files = []
        for number, source in enumerate(plan.sources):
            path = folder / f"source-{number}"
            await self._store.get_file(source.file, path)
            files.append(OrderedFile(name=source.filename, path=str(path)))
        return order.model_copy(update={"files": files})

    async def _run(self, order: Order, folder: Path, wanted: type[Result], tell: Tell) -> Result:
        """Have a child do it, within the limits."""
        try:
            async with (
                asyncio.timeout(self._limits.seconds),
                self._curators.child(order, folder) as child,
            ):
                async for report in child.reports():
                    if isinstance(report, Building):
                        await tell(report)
                    elif isinstance(report, Failed):
                        raise _told(report)
                    elif isinstance(report, wanted):
                        return report
        except TimeoutError:
            raise TooLarge(
                f"The data is not read after {self._limits.seconds / 60:.0f} minutes. Split it, or ask the "
                "operator to raise CHORUS_CURATION_SECONDS.",
                code="build_too_long",
            ) from None
        raise InternalError("The curation process ended without a result.")

    async def _stored(self, plan: Plan, built: Built, out: Path) -> Dataset:
        """Put the bytes, then make the version known."""
        place = f"{plan.guild}/{plan.name}/{uuid.uuid4().hex}"  # of its own: nothing is ever overwritten

        async def put(name: str) -> ObjectRef:
            return await self._store.put_file(storage.DATASETS, f"{place}/{name}", out / name)

        dataset = Dataset(
            guild=plan.guild,
            name=plan.name,
            version=1,
            examples=await put("examples.jsonl"),
            records=await put("records.jsonl"),
            people=await put("people.json"),
            card=built.card,
            # An upload with words of people who opted out is not kept: a deletion would not find it.
            sources=[] if OPTED_OUT in built.card.dropped else list(plan.sources),
            options=built.options,
            label=plan.label,
            basis=plan.basis,
            contributor=plan.contributor,
            created_at=now(),
        )
        return await self._library.add(dataset, plan.after)


def _told(failed: Failed) -> ChorusError:
    """What is wrong, as the error for it: too much is not the same as wrong."""
    kind = TooLarge if failed.code == "too_much_data" else InvalidInput
    return kind(failed.message, code=failed.code, param=failed.param)


async def unheard(_: Building) -> None:
    """Nobody asked how far it is."""


def plan_of(asked: Import) -> Plan:
    """What an import asks for."""
    return Plan(
        guild=asked.guild,
        name=asked.name,
        contributor=asked.contributor,
        label=asked.label,
        basis=asked.basis,
        options=asked.options,
        sources=tuple(asked.files),
        after=asked.after,
    )


def plan_again(dataset: Dataset, *, options: BuildOptions | None = None, label: bool | None = None) -> Plan:
    """The same data built anew, from its records; without the words of those who have opted out since.

    Whose replies are learned stays, unless `options` name somebody else.
    """
    if options is not None and options.target is None and dataset.imitates:
        options = options.model_copy(update={"target": dataset.options.target})
    return Plan(
        guild=dataset.guild,
        name=dataset.name,
        contributor=dataset.contributor,
        label=dataset.label if label is None else label,
        basis=dataset.basis,
        options=options or dataset.options,
        sources=tuple(dataset.sources),
        earlier=dataset,
    )
