"""Completions a second of the arith testbed's sampler, and of Transformers' `generate` on the same prompts.

Both draw at temperature 1 with the same room for new tokens and the same rows a batch, in turn in one process;
`generate` gets the prompts sorted by length, so that it pads as little. Prints medians and their ratio.

Run: python benchmarks/arith.py [--problems 300] [--n 4] [--batch 256] [--repeats 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from sillok import testbeds

ROOM = 124  # new tokens: the longest solution


def generate(bed: Any, prompts: list[str], n: int, batch: int) -> int:
    """Completions by `generate`, as many prompts together as make `batch` rows; the number of new tokens."""
    tokens = 0
    with torch.no_grad():
        for start in range(0, len(prompts), batch // n):
            inputs = bed.tokenizer(prompts[start : start + batch // n], padding=True, return_tensors="pt")
            out = bed.model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=True,
                temperature=1.0,
                top_k=0,
                num_return_sequences=n,
                max_new_tokens=ROOM,
            )
            tokens += int((out[:, inputs["input_ids"].shape[1] :] != bed.tokenizer.pad_token_id).sum())
    return tokens


def timed(what: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    tokens = what()
    return time.perf_counter() - began, tokens


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=300)
    parser.add_argument("--n", type=int, default=4)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    bed = testbeds.load("arith")
    prompts = sorted((p.prompt for p in bed.data("val", n=asked.problems)), key=len)

    def mine() -> int:
        found = bed.complete(prompts, n=asked.n, max_new_tokens=ROOM, batch=asked.batch)
        return sum(len(one.tokens) for one in found)

    ways = {"complete": mine, "generate": lambda: generate(bed, prompts, asked.n, asked.batch)}
    taken: dict[str, list[tuple[float, int]]] = {name: [] for name in ways}
    for turn in range(asked.repeats + 1):
        for name, way in ways.items():
            found = timed(way)
            if turn:  # the first is the warm-up
                taken[name].append(found)
    rows = len(prompts) * asked.n
    seconds = {name: statistics.median(second for second, _ in found) for name, found in taken.items()}
    print(f"arith: {rows} completions, batch {asked.batch}, {torch.get_num_threads()} threads")
    for name, found in taken.items():
        length = statistics.mean(tokens for _, tokens in found) / rows
        print(f"arith: {name:9s} {rows / seconds[name]:7.0f} completions/s of {length:.0f} tokens")
    print(f"arith: {seconds['generate'] / seconds['complete']:.2f} times generate")


if __name__ == "__main__":
    main()
