"""Steps of a completion: where they begin and end in text and tokens, prompts that stop at each, their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One line of a completion; text[start:end] is the line with the newline that ends it, if one does."""

    text: str
    start: int
    end: int


def split_steps(completion: str, limit: int | None = None) -> list[Step]:
    """The lines of a completion, in order; together they are the completion. At most `limit` of them.

    A newline ends a step: one at the end of the completion begins no empty step. Lines are separated by "\\n"
    alone (`str.splitlines` would also cut at other characters).
    """
    found: list[Step] = []
    start = 0
    while start < len(completion) and (limit is None or len(found) < limit):
        newline = completion.find("\n", start)
        stop = len(completion) if newline < 0 else newline
        end = min(stop + 1, len(completion))
        found.append(Step(completion[start:stop], start, end))
        start = end
    return found


def prefixes(problem: str, completion: str) -> list[str]:
    """Prompts that stop before each step and after the last: for m steps m + 1, the first the bare problem.

    A sampler goes on from each of them (rollouts from a step boundary). The last one asks for a step beyond the
    last line: its value is that of the completed solution, which need not be sampled.
    """
    head = problem + "\n"
    ends = [0] + [step.end for step in split_steps(completion)]
    texts = [head + completion[:end] for end in ends]
    return [text if text.endswith("\n") else text + "\n" for text in texts]


def step_tokens(tokenizer: Any, prompt: str, completion: str) -> list[tuple[int, int]]:
    """For each step, the range [first, last) of its tokens in `tokenizer(prompt + completion)`.

    A token belongs to the step in which its first character lies, so that ranges never overlap, and cover the
    completion where the tokenizer covers its characters. Special tokens have no characters and belong to none.

    Args:
        tokenizer: any fast tokenizer (it must give offsets).
        prompt: what comes before, with its newline.
        completion: the steps.

    Raises:
        ValueError: the tokenizer gives no offsets.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(f"tokenizer must be a fast one, which gives offsets; got {type(tokenizer).__name__}")
    offsets = tokenizer(prompt + completion, return_offsets_mapping=True)["offset_mapping"]
    # where each token begins, special tokens (of no width) left out
    begins = [(place, first) for place, (first, last) in enumerate(offsets) if last > first]
    ranges = []
    for step in split_steps(completion):
        low, high = len(prompt) + step.start, len(prompt) + step.end
        inside = [place for place, first in begins if low <= first < high]
        if inside:
            ranges.append((inside[0], inside[-1] + 1))
        else:  # a longer token began in an earlier step
            before = [place for place, first in begins if first < low]
            at = before[-1] + 1 if before else 0
            ranges.append((at, at))
    return ranges


def first_error_labels(count: int, first_error: int | None) -> list[bool]:
    """Labels of `count` steps, as process reward models are trained on: True before the first error only.

    Raises:
        ValueError: the index is none of the steps.
    """
    if first_error is not None and not 0 <= first_error < count:
        raise ValueError(f"first_error must be None or lie in [0, {count - 1}]; got {first_error}")
    return [first_error is None or place < first_error for place in range(count)]


def per_token(values: Sequence[float], ranges: Sequence[tuple[int, int]], length: int) -> list[float]:
    """Spread one value a step over its tokens; tokens of no step (prompt, padding) get 0.

    Raises:
        ValueError: not one value a range, or a range beyond `length`.
    """
    if len(values) != len(ranges):
        raise ValueError(f"values must have one value for each of {len(ranges)} steps; got {len(values)}")
    spread = [0.0] * length
    for value, (first, last) in zip(values, ranges, strict=True):
        if not 0 <= first <= last <= length:
            raise ValueError(f"ranges must lie in [0, {length}]; got {(first, last)}")
        spread[first:last] = [value] * (last - first)
    return spread
