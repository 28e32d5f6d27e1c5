"""Tokens a second, and the time to the first: the service beside bare vLLM, stock vLLM, and transformers."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain
from statistics import median

from chorus.common.local.process import Process
from tests.benchmarks.figures import Report, paired_ratio
from tests.benchmarks.serving.bench import AT_ONCE, CPU_CACHE, VOICES, Bench, Voices
from tests.benchmarks.serving.load import Question, Round, closed_loop, summed_up
from tests.benchmarks.serving.peers import Peer, a_peer, paused
from tests.benchmarks.serving.service import a_service

STOCK = {"VLLM_PLUGINS": ""}
"""vLLM as it comes: it loads no plugin of anybody."""

Go = Callable[[], Awaitable[Round]]


@dataclass(frozen=True)
class Size:
    """How much is asked of a base in each part."""

    ending: str
    """Of the figures' names."""
    rounds: int
    questions: int
    alone: int
    """Questions of a round for who answers one at a time."""
    stock_rounds: int = 0


STARTER = Size("", rounds=5, questions=160, alone=8)
LARGE = Size("_100m", rounds=3, questions=64, alone=2, stock_rounds=2)


class Contest:
    """All who serve one base, with the same questions."""

    def __init__(self, bench: Bench, voices: Voices, size: Size, report: Report) -> None:
        self._bench, self._voices, self._size, self._report = bench, voices, size, report

    async def run(self) -> None:
        """Beside bare vLLM, then transformers, then stock vLLM; only who is needed runs meanwhile."""
        async with AsyncExitStack() as stack:
            folder, settings = self._bench.folder, self._settings()
            name = f"speed{self._size.ending}"
            service = await stack.enter_async_context(a_service(self._bench.servers, folder, name, settings))
            async with self._engine("bare", {}) as bare:
                await self._beside_bare(service, bare)
                if self._size.stock_rounds:
                    with paused(service.child.pid):
                        async with self._engine("stock", STOCK) as stock:
                            await self._beside_stock(bare, stock)
            await self._beside_transformers(service)

    def _settings(self) -> dict[str, str]:
        return {"CHORUS_BASE_MODEL": str(self._voices.base), **CPU_CACHE}

    def _engine(self, name: str, environment: dict[str, str]):
        log = self._bench.folder / f"{name}{self._size.ending}.log"
        return a_peer("bare", log=log, environment={**self._settings(), **environment})

    # --- who answers -----------------------------------------------------------------------------
    async def _ours(self, asked: Sequence[Question]) -> Round:
        return summed_up(await closed_loop(self._bench.client, asked, at_once=AT_ONCE))

    async def _peers(self, peer: Peer, asked: Sequence[Question]) -> Round:
        return Round(**await peer.ask(**self._voices.order(asked)))

    def _sides(
        self, service: Process, peer: Peer, asked: Sequence[Question], of_peer: Sequence[Question]
    ) -> tuple[Go, Go]:
        """The service, and the peer; who is not asked does not run."""

        async def ours() -> Round:
            with paused(peer.session):
                return await self._ours(asked)

        async def theirs() -> Round:
            with paused(service.child.pid):
                return await self._peers(peer, of_peer)

        return ours, theirs

    # --- who is beside whom ----------------------------------------------------------------------
    async def _beside_bare(self, service: Process, bare: Peer) -> None:
        size = self._size
        asked = self._voices.questions(size.questions, seed=1)
        ours, peers = await in_turn(*self._sides(service, bare, asked, asked), size.rounds)
        assert {r.tokens for r in chain(ours, peers)} == {sum(question.tokens for question in asked)}
        ratio = paired_ratio(speeds(ours), speeds(peers))
        over = median(
            (median(mine.firsts) - median(theirs.firsts)) * 1e3
            for mine, theirs in zip(ours, peers, strict=True)
        )
        told = f"{ratio:.3f} × (at least 0.95): {median(speeds(ours)):,.0f} tokens/s"
        beside = f"AsyncLLM.generate {median(speeds(peers)):,.0f} tokens/s"
        self._report.add(f"throughput_vs_bare{size.ending}", ratio, told, beside)
        first, peer_first = (median(median(r.firsts) for r in side) * 1e3 for side in (ours, peers))
        told = f"{over:+.1f} ms (at most 5): {first:.1f} ms"
        self._report.add(f"ttft_ms_over_bare{size.ending}", over, told, f"{peer_first:.1f} ms")

    async def _beside_stock(self, bare: Peer, stock: Peer) -> None:
        size, ratios = self._size, list[float]()
        for adapters in (1, VOICES):
            asked = self._voices.questions(AT_ONCE, seed=2, adapters=adapters)
            ours, peers = await in_turn(*self._engines(bare, stock, asked), size.stock_rounds)
            ratios.append(paired_ratio(speeds(ours), speeds(peers)))
            told = (
                f"{ratios[-1]:.2f} × (at least 2): {median(speeds(ours)):,.0f} tokens/s, adapters: {adapters}"
            )
            beside = f"stock vLLM {median(speeds(peers)):,.0f} tokens/s"
            self._report.add(f"lora_vs_stock_{adapters}", ratios[-1], told, beside)
        self._report.add("lora_vs_stock", min(ratios), f"{min(ratios):.2f} × (at least 2)", "the smaller one")
        order = self._voices.order(self._voices.questions(AT_ONCE, seed=3))
        difference = largest_difference(
            (await bare.ask(**order, score=True))["scored"], (await stock.ask(**order, score=True))["scored"]
        )
        self._report.add("logprob_difference", difference, f"{difference:.3f} nats at most", "stock vLLM")

    def _engines(self, bare: Peer, stock: Peer, asked: Sequence[Question]) -> tuple[Go, Go]:
        async def grouped() -> Round:
            with paused(stock.session):
                return await self._peers(bare, asked)

        async def as_it_comes() -> Round:
            with paused(bare.session):
                return await self._peers(stock, asked)

        return grouped, as_it_comes

    async def _beside_transformers(self, service: Process) -> None:
        """With one adapter; the peer answers a few of the questions, one after the other."""
        size, ending = self._size, self._size.ending
        asked = self._voices.questions(size.questions, seed=4, adapters=1)
        log, adapter = self._bench.folder / f"plain{ending}.log", str(self._voices.adapters[0])
        async with a_peer("plain", str(self._voices.base), adapter, log=log) as plain:
            sides = self._sides(service, plain, asked, asked[: size.alone])
            ours, peers = await in_turn(*sides, size.rounds)
        ratio = paired_ratio(speeds(ours), speeds(peers))
        told = f"{ratio:.1f} × (at least 4): {median(speeds(ours)):,.0f} tokens/s"
        beside = f"transformers.generate {median(speeds(peers)):,.0f} tokens/s, one at a time"
        self._report.add(f"vs_transformers{ending}", ratio, told, beside)


async def in_turn(first: Go, second: Go, rounds: int) -> tuple[list[Round], list[Round]]:
    """A round of each that does not count, then pairs; who begins changes."""
    await first()
    await second()
    ours, peers = list[Round](), list[Round]()
    for number in range(rounds):
        if number % 2:
            peers.append(await second())
            ours.append(await first())
        else:
            ours.append(await first())
            peers.append(await second())
    return ours, peers


def speeds(rounds: Sequence[Round]) -> list[float]:
    """Tokens a second of each."""
    return [one.tokens_per_s for one in rounds]


def largest_difference(
    ours: Sequence[Sequence[tuple[int, float]]], peers: Sequence[Sequence[tuple[int, float]]]
) -> float:
    """Nats between the two sides' scores of the same token after the same words, at most."""
    differences: list[float] = []
    for mine, theirs in zip(ours, peers, strict=True):
        for (token, score), (peer_token, peer_score) in zip(mine, theirs, strict=True):
            if token != peer_token:
                break  # a near tie: from here on they say other things
            differences.append(abs(score - peer_score))
    return max(differences)
