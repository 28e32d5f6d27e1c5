"""A guild that asks very many questions at once, as a program of its own; told to try again, it does."""

import asyncio
import random
from collections import Counter
from typing import Any

from chorus.common.bus.connection import connect
from chorus.common.settings import CommonSettings, load
from tests.benchmarks.serving.load import Question, closed_loop, questions
from tests.benchmarks.serving.peers import Order, serve, spoken_apart


async def main() -> None:
    """Join the bus as the environment says, then obey."""
    answers = spoken_apart()
    settings = load(CommonSettings)
    closed: list[str] = []
    async with connect(
        settings.nats_url, user="gateway", nkey_file=settings.nats_nkey_file, on_closed=closed.append
    ) as connection:

        async def burst(order: Order) -> dict[str, Any]:
            texts = questions(order["count"], seed=8)
            lengths = random.Random(8).choices(range(*order["tokens"]), k=order["count"])
            asked = [
                Question(text, tokens, order["model"], order["guild"])
                for text, tokens in zip(texts, lengths, strict=True)
            ]
            heard = await closed_loop(connection, asked, at_once=order["count"], patience=order["patience"])
            errors = Counter(answer.error for answer in heard if answer.error)
            return {"served": len(heard) - errors.total(), "errors": dict(errors)}

        await serve(burst, answers)


if __name__ == "__main__":
    asyncio.run(main())
