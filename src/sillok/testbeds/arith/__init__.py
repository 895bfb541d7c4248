"""Arithmetic and small algebra with worked steps: problems, an exact verifier, planted faults, a small Llama.

Problems, verifier, faults, step tools and scoring need no framework and are here; the model, its tokenizer and
sampling are in `bed` (`sillok.testbeds.load("arith")`), `tokenizer` and `sampling`.
"""

from sillok.testbeds.arith.faults import KINDS, Faulty, all_solutions, correct, diagnose, faulty
from sillok.testbeds.arith.problems import LEVELS, SPLITS, Problem, problems, split_of
from sillok.testbeds.arith.scoring import best_of, majority, pass_at_k
from sillok.testbeds.arith.steps import (
    Step,
    first_error_labels,
    per_token,
    prefixes,
    split_steps,
    step_tokens,
)
from sillok.testbeds.arith.verifier import StepVerdict, Verdict, verdict_text, verify

__all__ = [
    "KINDS",
    "LEVELS",
    "SPLITS",
    "Faulty",
    "Problem",
    "Step",
    "StepVerdict",
    "Verdict",
    "all_solutions",
    "best_of",
    "correct",
    "diagnose",
    "faulty",
    "first_error_labels",
    "majority",
    "pass_at_k",
    "per_token",
    "prefixes",
    "problems",
    "split_of",
    "split_steps",
    "step_tokens",
    "verdict_text",
    "verify",
]
