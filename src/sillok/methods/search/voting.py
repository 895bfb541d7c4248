"""Majority voting (self-consistency) as an Inspect solver: the baseline of selection methods (arXiv 2411.19477)."""

from __future__ import annotations

from collections import Counter

from inspect_ai.solver import Generate, Solver, TaskState, solver

from sillok.methods.search.sampling import at_least, draw_candidates, hand_back, rng_of


@solver
def majority_vote(*, n: int = 16, generate: Solver | None = None, seed: int = 0) -> Solver:
    """Sample n solutions and take one whose answer is the most frequent.

    Args:
        n: number of solutions, and of calls of the model.
        generate: an Inspect solver that draws one solution, in place of the built-in prompt.
        seed: of ties, which are broken at random among the leading answers.

    A solution without a readable answer has no vote, unless none has an answer.

    Raises:
        ValueError: ``n`` below 1.

    Reference:
        X. Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", ICLR 2023.
    """
    at_least("n", n, 1)

    async def solve(state: TaskState, _: Generate) -> TaskState:
        candidates = await draw_candidates(state, n, generate)
        answers = [candidate.answer for candidate in candidates]
        votes = Counter(answer for answer in answers if answer is not None) or Counter(answers)
        leading = sorted((a for a, count in votes.items() if count == max(votes.values())), key=str)
        chosen = leading[rng_of(state, seed).integers(len(leading))]
        winner = answers.index(chosen)
        record = {
            "method": "majority_vote",
            "n": n,
            "k": 0,
            "answers": answers,
            "distinct": len({candidate.text for candidate in candidates}),
            "rounds": [],
            "calls": n,
            "unparsable": 0,
            "winner": winner,
        }
        return hand_back(state, candidates[winner], record)

    return solve
