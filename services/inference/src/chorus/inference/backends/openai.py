"""Any server with OpenAI's API, behind `ports.RunningEngine`: for those who run vLLM already.

It gets prompts as token ids, laid out as in training; one that takes no token ids gets conversations
(`CHORUS_OPENAI_CHAT`). Nothing is asked twice, no redirect is followed, and each request has a connection
of its own: closing it is what tells vLLM to stop.
"""

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

from openai import (
    APIConnectionError,
    APITimeoutError,
    AsyncStream,
    BadRequestError,
    InternalServerError,
    NotFoundError,
)

from chorus.common.chat import as_messages
from chorus.common.errors import InternalError, InvalidInput, Misconfigured
from chorus.inference.backends import makers, tokenizer
from chorus.inference.backends.openai_errors import AWAY, NO_ANSWER, explained, words
from chorus.inference.backends.openai_replies import Heard, Reply
from chorus.inference.backends.openai_server import Models, Watch, base_model, writer
from chorus.inference.generation.checks import check_answers, check_prompt
from chorus.inference.generation.ports import Adapter, Piece, Work
from chorus.inference.settings import InferenceSettings

PATIENCE = 15.0  # seconds in which a server has to be there: about what an engine of our own takes

OF_VLLM = ("top_k", "min_p", "repetition_penalty")
"""Sampling that OpenAI's API does not have: sent where it was asked for; else the server decides."""

SEES_NONE = "It must run with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and have CHORUS_CACHE at the same path."


class OpenAIEngine:
    """A server's base model, and adapters that it loads from our cache's folder."""

    def __init__(self, settings: InferenceSettings, folder: Path, model: str, window: int) -> None:
        """`folder` is the base model's; `model` is what the server calls it."""
        self._client = writer(settings)
        self._watch = Watch(settings)
        self._model = model
        self._defaults = {k: v for k, v in makers.sampling(folder).items() if k not in OF_VLLM}
        self._tokenizer = tokenizer.load(folder) if settings.openai_chat else None
        self.window = window
        self.max_rank = settings.max_rank if settings.openai_adapters else 0
        self.capacity = settings.capacity if self.max_rank else 0

    # --- adapters --------------------------------------------------------------------------------
    async def load(self, adapter: Adapter) -> None:
        """Have the server read the adapter from its folder, which has the same path there.

        One that it has already, from there, is fine. Raises `InvalidInput` (`unsupported_adapter`).
        """
        if not self.max_rank:
            raise _unsupported(
                "The server behind Chorus is asked for its base model alone",
                "Set CHORUS_OPENAI_ADAPTERS where it is a vLLM that may load adapters.",
            )
        folder = str(adapter.folder.resolve())
        with self._explained():
            if await self._holds(adapter, folder):
                return
            try:
                await self._post("/load_lora_adapter", lora_name=adapter.sha256, lora_path=folder)
            except (BadRequestError, NotFoundError, InternalServerError) as error:
                if error.status_code in AWAY:
                    raise
                if await self._holds(adapter, folder):  # another process was faster
                    return
                raise _unsupported(
                    f"The server behind Chorus does not take {adapter.name}: {words(error)!r}",
                    "Train it again." if error.status_code >= 500 else SEES_NONE,
                ) from error

    async def unload(self, adapter: Adapter) -> None:
        """Have the server forget the adapter, if it knows it."""
        with self._explained():
            try:
                await self._post("/unload_lora_adapter", lora_name=adapter.sha256)
            except NotFoundError:
                return

    async def _holds(self, adapter: Adapter, folder: str) -> bool:
        listed = Models.model_validate(await self._client.get("/models", cast_to=object)).data
        return any(card.id == adapter.sha256 and card.root == folder for card in listed)

    # --- questions -------------------------------------------------------------------------------
    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        """Write answers, a piece for each event of the stream; leaving the iterator closes the connection.

        Raises `InvalidInput` for a prompt that is too short or too long, and what `explained` lists.
        """
        path, body = self._conversation(work) if self._tokenizer else self._prompt(work)
        heard = Heard(work.sampling.n)
        with self._explained(adapter=work.adapter is not None):
            stream = await self._client.post(
                path,
                body={"model": self._name(work.adapter), "stream": True, **self._sampling(work), **body},
                cast_to=object,
                stream=True,
                stream_cls=AsyncStream[object],
                options={"headers": {"X-Request-Id": work.id}},
            )
        async with stream:
            with self._explained(begun=True):
                async for event in stream:
                    for piece in heard.pieces(Reply.model_validate(event)):
                        yield piece
        for piece in heard.ends():
            yield piece

    async def score(self, tokens: list[int], start: int, adapter: Adapter | None) -> list[float]:
        """Log-probability (nats) of each of `tokens[start:]`, given all before it.

        The server repeats the prompt (`echo`) with what it thinks of each token, and writes one more, which
        is thrown away. Raises `InvalidInput` (`cannot_score`) where it does not do that.
        """
        if self._tokenizer:
            raise _cannot_score("it is sent conversations")
        check_prompt(tokens, self.window)
        with self._explained(adapter=adapter is not None):
            try:
                asked = {"prompt": tokens, "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
                told = await self._post("/completions", model=self._name(adapter), **asked)
            except BadRequestError as error:
                raise _cannot_score(words(error)) from error
            reply = Reply.model_validate(told)
        found = [one for choice in reply.choices if choice.logprobs for one in choice.logprobs.token_logprobs]
        scores = [one for one in found[start : len(tokens)] if one is not None]
        if len(scores) != len(tokens) - start:
            raise _cannot_score("it does not tell how likely a prompt is")
        return scores

    def _prompt(self, work: Work) -> tuple[str, dict[str, object]]:
        """For servers that take token ids. These also count as they go, so that what is left is counted."""
        check_prompt(work.prompt, self.window)
        usage = {"include_usage": True, "continuous_usage_stats": True}
        return "/completions", {"prompt": work.prompt, "cache_salt": work.guild, "stream_options": usage}

    def _conversation(self, work: Work) -> tuple[str, dict[str, object]]:
        """For others. Here, too, nobody opens a turn by typing a control token of the base model."""
        assert self._tokenizer is not None
        messages = as_messages(self._tokenizer, work.turns)
        return "/chat/completions", {"messages": messages, "stream_options": {"include_usage": True}}

    def _sampling(self, work: Work) -> dict[str, object]:
        asked = work.sampling.model_dump(exclude_none=True, exclude_defaults=True)
        options = {**self._defaults, **asked}
        check_answers(work.sampling.n, options.get("temperature"))
        room = max(self.window - len(work.prompt), 1)
        return {**options, "max_tokens": min(work.sampling.max_tokens, room)}

    def _name(self, adapter: Adapter | None) -> str:
        return adapter.sha256 if adapter else self._model

    async def _post(self, path: str, **body: object) -> object:
        return await self._client.post(path, body=body, cast_to=object)

    @contextmanager
    def _explained(self, *, begun: bool = False, adapter: bool = False) -> Generator[None]:
        """As `explained`; whoever asks next need not find out for himself that the server is gone."""
        with explained(begun=begun, adapter=adapter):
            try:
                yield
            except APIConnectionError as error:
                if not isinstance(error, APITimeoutError):
                    self._watch.wrong = NO_ANSWER
                raise

    # --- its life --------------------------------------------------------------------------------
    def wrong(self) -> str | None:
        """Why it cannot answer: found by a request, or by a look every five seconds."""
        return self._watch.wrong

    async def sleep(self) -> None:
        """Raises `InternalError`: the accelerator is the server's. See `start`."""
        raise InternalError("The server behind Chorus is not ours to put to sleep.", code="not_ours")

    async def wake(self) -> None:
        """It never sleeps."""

    def close(self) -> None:
        """Look at it no more. The server goes on, and so does what it is writing."""
        self._watch.end()


def start(folder: Path, settings: InferenceSettings, *, patience: float = PATIENCE) -> OpenAIEngine:
    """Get to know the server. Blocks, for `patience` seconds at most until it is there.

    `folder` is the base model's: of the model that the server serves.

    Raises `Misconfigured` where it is not what the settings say, `Unavailable` (`engine_unreachable`).
    """
    if settings.shared_gpu:
        raise Misconfigured(
            "CHORUS_SHARED_GPU is set, but the server at CHORUS_OPENAI_URL is not ours to stop for a "
            "training. Unset one of them."
        )
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # one line a request tells nobody anything
    model = base_model(settings, patience)
    window = makers.window(folder, settings.window)
    return OpenAIEngine(settings, folder, model.id, min(window, model.max_model_len or window))


def _unsupported(what: str, do: str) -> InvalidInput:
    return InvalidInput(f"{what}. {do}", code="unsupported_adapter")


def _cannot_score(why: str) -> InvalidInput:
    return InvalidInput(
        f"The server behind Chorus cannot score replies: {why}. vLLM with token ids can.", code="cannot_score"
    )
