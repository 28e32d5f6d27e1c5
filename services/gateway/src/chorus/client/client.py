"""Chorus for asyncio: the console's commands as methods. Everything is done by those commands."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from chorus.client.handed_over import EXAMPLES, HandedOver, Pairs, is_file
from chorus.client.job import Job
from chorus.client.where import settings_for
from chorus.common.bus.connection import connect
from chorus.common.contracts.generation import Delta
from chorus.common.contracts.models import BASE, ModelRecord, parse_model
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.training import JobRecord
from chorus.common.errors import InvalidInput, Unavailable
from chorus.gateway.app import all_of
from chorus.gateway.commands.chat import Ask, Say, ask, say
from chorus.gateway.commands.context import Chorus, Context, Session, Trust
from chorus.gateway.commands.examples import ExamplesParameters, examples
from chorus.gateway.commands.parsing import validated
from chorus.gateway.commands.replies import Progress, Reply, Stream
from chorus.gateway.commands.training import Train, train
from chorus.gateway.frontends.console.files import LocalFiles
from chorus.gateway.frontends.console.repl import here
from chorus.gateway.settings import GatewaySettings

log = structlog.get_logger()


class Client:
    """One's own conversation with Chorus, and what else the console can do.

    async with Client() as chorus:
        print(await chorus.chat("Hello"))

    It joins the Chorus that runs on the folder `data`, or that the environment names (`client.where`).
    """

    def __init__(
        self, data: str | Path | None = None, *, guild: str = LOCAL, settings: GatewaySettings | None = None
    ) -> None:
        self._settings = settings or settings_for(Path(data) if data is not None else None)
        self._guild = guild
        self._stack = AsyncExitStack()
        self._chorus: Chorus | None = None
        self._jobs: list[Job] = []
        self.session = Session()
        """The conversation that `chat` and `stream` go on with; another `Session()` is another one."""

    # --- joining and leaving ---------------------------------------------------------------------
    async def open(self) -> "Client":
        """Join. Raises `Unavailable` where no server lets us in."""
        settings = self._settings
        connection = await self._stack.enter_async_context(
            connect(
                settings.nats_url,
                user="gateway",
                nkey_file=settings.nats_nkey_file,
                ca_file=settings.nats_ca,
                on_closed=_disconnected,
            )
        )
        self._chorus = await all_of(connection, settings)
        return self

    async def close(self) -> None:
        """Leave. Trainings go on."""
        for job in self._jobs:
            await job.leave()
        self._chorus = None
        await self._stack.aclose()

    async def __aenter__(self) -> "Client":
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- talking ---------------------------------------------------------------------------------
    async def chat(self, text: str, *, model: str | None = None, session: Session | None = None) -> str:
        """Say something in the conversation; returns the answer. `model` answers for once."""
        return "".join([piece async for piece in self.stream(text, model=model, session=session)])

    async def stream(
        self, text: str, *, model: str | None = None, session: Session | None = None
    ) -> AsyncGenerator[str, None]:
        """The same, piece by piece, as it is written. Who leaves stops the writing."""
        asked = self.session if session is None else session
        meant = asked if model is None else Session(asked.turns, model)  # one memory
        async with aclosing(_pieces(await say(self._context(session=meant), Say(text=text)))) as pieces:
            async for piece in pieces:
                yield piece

    async def ask(self, question: str, *, model: str | None = None, **sampling: Any) -> str:
        """Ask one question, apart from any conversation; `temperature=0.7` and the like as at `!ask`."""
        asked = validated(Ask, {"question": question, "model": model, **sampling})
        return "".join([piece async for piece in _pieces(await ask(self._context(), asked))])

    async def load_model(self, name: str) -> str:
        """Talk with this model from now on: `club`, `club@3`, `base`. Returns which version that is today.

        It is this client's choice alone; whom everybody else talks with is for `!use`. Raises `NotFound`.
        """
        if name == BASE:
            self.session.model = name
            return name
        version = await self._known.models.find(self._guild, name)
        self.session.model = name
        return f"{parse_model(name)[0]}@{version.tag}"

    async def add_examples(self, pairs: Pairs) -> None:
        """Show the models of this place how to answer: `[{"user": "…", "bot": "…"}]`. Nothing is trained."""
        ctx = self._context(pairs=pairs)
        await examples(ctx, ExamplesParameters(wish="add", file=EXAMPLES))

    # --- training --------------------------------------------------------------------------------
    def train(
        self, data: Pairs | Path | str | None = None, /, *, model: str | None = None, **options: Any
    ) -> Job:
        """Begin a training; the `Job` can be awaited and watched.

        `data` are pairs of `user` and `bot`, a file of any format that `!train` reads, or words to learn;
        without it `data="club"` names a dataset. Options are those of `!train`: `epochs=3`, `method="full"`.
        Raises `InvalidInput` for options that cannot be; what is wrong with the data is the job's to raise.
        """
        given = {} if data is None else _as_option(data)
        if twice := sorted(given.keys() & options.keys()):
            raise InvalidInput(f"`{twice[0]}` is given twice.", code="given_twice", param=twice[0])
        asked = validated(Train, {**options, **given, **({} if model is None else {"model": model})})
        ctx = self._context(pairs=() if isinstance(data, str | Path) else data or ())

        async def moments() -> AsyncGenerator[Any, None]:
            reply = await train(ctx, asked)
            assert isinstance(reply, Progress), reply
            async for moment in reply.moments:
                yield moment

        job = Job(moments(), self._known.jobs, self._guild)
        self._jobs.append(job)
        return job

    async def jobs(self) -> list[JobRecord]:
        """All trainings that are remembered, newest first."""
        return await self._known.jobs.recent(self._guild)

    async def models(self) -> list[ModelRecord]:
        """All models of this place, with their versions."""
        return await self._known.models.all(self._guild)

    # --- commands --------------------------------------------------------------------------------
    @property
    def _known(self) -> Chorus:
        if self._chorus is None:
            raise Unavailable(
                "This client is not open: `async with Client() as chorus`, or `await client.open()`.",
                code="not_open",
            )
        return self._chorus

    def _context(self, *, session: Session | None = None, pairs: Pairs = ()) -> Context:
        """A command of whoever sits at this machine, as at the console."""
        trust = Trust(self._settings.train_on_messages, self._settings.train_permission or None, "console")
        local = LocalFiles(self._settings.max_local_upload)
        ctx = here(self._known, trust, session or self.session, local)
        return replace(ctx, guild=self._guild, files=HandedOver(local, pairs))


async def _pieces(reply: Reply) -> AsyncGenerator[str, None]:
    """The words of an answer."""
    assert isinstance(reply, Stream), reply
    async for piece in reply.pieces:
        if isinstance(piece, Delta):
            yield piece.text


def _as_option(data: Pairs | Path | str) -> dict[str, str]:
    """What is handed over, as `!train` would be told of it."""
    if isinstance(data, str | Path):
        return {"file" if is_file(data) else "text": str(data)}
    if not data:
        raise InvalidInput("There are no examples to learn from.", code="nothing_to_train_on", param="data")
    return {"file": EXAMPLES}


def _disconnected(reason: str) -> None:
    log.error("client disconnected", reason=reason)
