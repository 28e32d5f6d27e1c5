"""What the usual bots do, as a program of its own: `transformers.generate` with peft, one after the other."""

import asyncio
import sys
import time

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.benchmarks.serving.peers import Order, serve, spoken_apart

THREADS = 2


async def main(base: str, adapter: str) -> None:
    """Load the model in bf16 with its adapter, then answer orders."""
    answers = spoken_apart()
    torch.set_num_threads(THREADS)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="bfloat16"), adapter)
    model.eval()

    async def write(order: Order) -> Order:
        began, tokens = time.perf_counter(), 0
        for prompt, most in zip(order["prompts"], order["tokens"], strict=True):
            ids = torch.tensor([prompt])
            reply = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=most,
                do_sample=False,
                use_cache=True,
            )
            tokens += reply.shape[1] - len(prompt)
        return {"tokens": tokens, "seconds": time.perf_counter() - began, "firsts": []}

    await serve(write, answers)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
