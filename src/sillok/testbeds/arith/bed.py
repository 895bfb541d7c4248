"""The arith testbed: a small Llama that works problems out step by step, right about half of the time."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from sillok.testbeds.arith.problems import LEVELS, LONGEST, Problem, problems, work
from sillok.testbeds.arith.sampling import Completion, complete
from sillok.testbeds.arith.scoring import pass_at_k
from sillok.testbeds.arith.steps import prefixes
from sillok.testbeds.arith.tokenizer import ALPHABET, BOS, EOS, PAD, SPECIAL, VOCABULARY, build_tokenizer
from sillok.testbeds.arith.verifier import Verdict, verdict_text, verify
from sillok.testbeds.base import Exhibit, Recipe, Testbed
from sillok.testbeds.llama import fit_llama, llama_config
from sillok.testbeds.training import Progress, fresh

CONTEXT = 384  # room for a problem, a completion of 128 tokens and a rollout of as many from its end
_IDS = {character: index for index, character in enumerate((*SPECIAL, *ALPHABET))}


@dataclass(frozen=True, kw_only=True)
class ArithRecipe(Recipe):
    """Widths of the Llama model and its training on solutions packed into rows of `context` tokens.

    `batch` counts problems a step; `wander` is the share of solutions worked in a random valid order.
    """

    hidden: int
    layers: int
    heads: int
    inner: int
    context: int = 128
    wander: float = 0.2
    autocast: bool = True


class Arith(Testbed):
    """Llama language model that works arithmetic and linear equations out, one step a line."""

    name = "arith"
    recipes: ClassVar[Mapping[str, ArithRecipe]] = {
        "s": ArithRecipe(
            hidden=192, layers=4, heads=3, inner=320, steps=900, batch=96, lr=5e-3, optimizer="muon"
        ),
    }

    def config(self) -> Any:
        """The `LlamaConfig` of this size."""
        return llama_config(self.recipe, vocabulary=VOCABULARY, context=CONTEXT, bos=BOS, eos=EOS, pad=PAD)

    def build(self, seed: int = 0) -> Any:
        """A `LlamaForCausalLM` with fresh weights."""
        return fresh(lambda: LlamaForCausalLM(self.config()), seed)

    @functools.cached_property
    def tokenizer(self) -> Any:
        """The testbed's `PreTrainedTokenizerFast`."""
        return build_tokenizer()

    def data(
        self, split: str, *, n: int = 1024, seed: int = 0, levels: tuple[int, ...] = LEVELS
    ) -> list[Problem]:
        """`n` different problems of a split, the levels in turn, as `problems.problems` gives them."""
        return problems(split, n, seed, levels=levels, unique=True)

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Next-token cross-entropy on worked solutions never seen before; the problem itself is not trained."""
        return fit_llama(model, lambda step: self.batch_for_step(step, seed), self.recipe, progress, device)

    def complete(
        self, prompts: Sequence[str], *, model: Any = None, tokenizer: Any = None, **options: Any
    ) -> list[Completion]:
        """Completions of prompts by the trained model, or by another with its tokenizer: see `sampling.complete`.

        A problem's prompt is `problem.prompt`; options are n, temperature, top_k, top_p, max_new_tokens, stop,
        seed and batch.
        """
        model = self.model if model is None else model
        tokenizer = self.tokenizer if tokenizer is None else tokenizer
        found: list[Completion] = complete(model, tokenizer, prompts, **options)
        return found

    def rollouts(
        self,
        asked: Sequence[tuple[Problem, str]],
        *,
        n: int = 16,
        model: Any = None,
        tokenizer: Any = None,
        **options: Any,
    ) -> list[list[list[bool]]]:
        """For each problem with a completion: which of `n` rollouts come out right, from each step boundary on.

        Of a completion of m steps there are m + 1 rows: row 0 starts from the bare problem, row m after all
        steps. Where the completion has an answer, that row is not sampled: it is the answer's verdict. Equal
        prefixes, of whatever completion, are sampled once, and all of them together.

        Raises:
            ValueError: an option that `complete` refuses.
        """
        starts = [prefixes(problem.text, completion) for problem, completion in asked]
        done = [verify(problem, completion) for problem, completion in asked]
        open_ = [rows[:-1] if v.answer is not None else rows for rows, v in zip(starts, done, strict=True)]
        problem_of = {
            start: problem for (problem, _), rows in zip(asked, open_, strict=True) for start in rows
        }
        unique = list(problem_of)
        hits: dict[str, list[bool]] = {start: [] for start in unique}
        for one in self.complete(unique, n=n, model=model, tokenizer=tokenizer, **options):
            start = unique[one.prompt]
            whole = start[len(problem_of[start].prompt) :] + one.text
            hits[start].append(one.finished and verify(problem_of[start], whole).correct)
        return [
            [list(hits[start]) for start in rows] + ([[v.correct] * n] if v.answer is not None else [])
            for rows, v in zip(open_, done, strict=True)
        ]

    def evaluate(self, model: Any, split: str = "val", *, n: int = 600, seed: int = 0) -> float:
        """Mean cross-entropy in nats a token of the textbook's solutions of `n` problems, the end included."""
        loss: float = evaluate(model, self.data(split, n=n, seed=seed), self.recipes[self.size].context)
        return loss

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Accuracy on test problems at temperature 0, by level too, and what 8 draws at temperature 1 give.

        `n` counts problems (1,200 at temperature 0 and a quarter of them drawn, by default). A completion that
        did not end has no answer. `monotone` is the smallest drop of accuracy from one level to the next, so
        that it is negative when the curve rises anywhere. `step_validity` is the share of drawn steps without
        fault and `unsound` that of right answers reached through a faulty step.
        """
        count = 1200 if n is None else n
        asked = self.data("test", n=count, seed=seed)
        greedy = self._verdicts(model, asked, temperature=0.0)
        found = {"accuracy": _mean(v.correct for v in greedy)}
        by_level = {
            level: [v.correct for p, v in zip(asked, greedy, strict=True) if p.level == level]
            for level in LEVELS
        }
        curve = {level: _mean(hits) for level, hits in by_level.items() if hits}
        found |= {f"accuracy@{level}": share for level, share in curve.items()}
        found["monotone"] = min((a - b for a, b in itertools.pairwise(curve.values())), default=0.0)
        some = asked[: max(1, count // 4)]
        drawn = self._verdicts(model, some, n=8, temperature=1.0, seed=seed)
        hits = [sum(v.correct for v in drawn[i * 8 : i * 8 + 8]) for i in range(len(some))]
        found["pass@1"] = _mean(pass_at_k(8, c, 1) for c in hits)
        found["pass@8"] = _mean(pass_at_k(8, c, 8) for c in hits)
        found["step_validity"] = _mean(step.ok for v in drawn for step in v.steps)
        found["unsound"] = _mean(not v.valid for v in drawn if v.correct)
        found["test_loss"] = evaluate(model, asked, self.recipes[self.size].context)
        return found

    def _verdicts(self, model: Any, asked: list[Problem], **options: Any) -> list[Verdict]:
        each = options.get("n", 1)
        texts = self.complete([p.prompt for p in asked], model=model, max_new_tokens=LONGEST, **options)
        found = [verify(asked[place // each], one.text) for place, one in enumerate(texts)]
        return [
            verdict if one.finished else replace(verdict, answer=None, correct=False)
            for verdict, one in zip(found, texts, strict=True)
        ]

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Right about half of the time, so that there is room to improve; the harder the rarer."""
        return {
            "accuracy": (0.40, 0.70),
            "monotone": (0.0, 1.0),
            "pass@1": (0.25, 0.70),
            "pass@8": (0.5, 0.95),
        }

    def exhibits(self) -> list[Exhibit]:
        """Accuracy by level, and a test problem of each level with the model's steps and what the verifier finds."""
        curve = [(key[-1], share) for key, share in self.quality.items() if key.startswith("accuracy@")]
        table = "\n".join(f"level {level}  {share:6.1%}  {'#' * round(share * 40)}" for level, share in curve)
        shown = [Exhibit("levels", "Right answers at temperature 0, by level.", text=table)]
        asked = self.data("test", n=2 * len(LEVELS), seed=7)
        for problem, one in zip(asked, self.complete([p.prompt for p in asked], temperature=0), strict=True):
            verdict = verify(problem, one.text)
            outcome = "right" if verdict.correct else f"wrong (it is {problem.answer})"
            caption = f"Level {problem.level}, {problem.kind}: the answer is {outcome}."
            shown.append(Exhibit(f"level-{problem.level}", caption, text=verdict_text(problem, verdict)))
        return shown

    def batch_for_step(self, step: int, seed: int) -> dict[str, torch.Tensor]:
        """One training batch, packed: see `pack`."""
        recipe = self.recipes[self.size]
        drawn = problems("train", recipe.batch, seed * 1_000_003 + step)
        rng = random.Random(f"{seed}/{step}")
        texts = []
        for problem in drawn:
            steps = work(problem.text, rng) if rng.random() < recipe.wander else None
            # a random order can be much longer than the textbook's, and then the textbook's is used
            solution = problem.solution if steps is None else "\n".join(steps)
            if len(problem.prompt) + len(solution) + 2 > recipe.context:
                solution = problem.solution
            texts.append((problem.prompt, solution))
        return pack(texts, recipe.context)


def encode(text: str) -> list[int]:
    """Tokens of a text without special ones, equal to the tokenizer's and quicker in a training loop."""
    return [_IDS[character] for character in text]


def pack(texts: list[tuple[str, str]], context: int) -> dict[str, torch.Tensor]:
    """Prompts with completions side by side in rows of `context` tokens, each attending to itself alone.

    Returns:
        input_ids, labels (-100 on prompts and padding) and position_ids (R, context), and a boolean
        attention_mask (R, 1, context, context).
    """
    rows: list[list[tuple[list[int], int]]] = []
    left: list[int] = []
    whole = [([BOS, *encode(prompt), *encode(done), EOS], len(prompt) + 1) for prompt, done in texts]
    for tokens, begin in sorted(whole, key=lambda pair: -len(pair[0])):
        place = next((i for i, room in enumerate(left) if room >= len(tokens)), len(rows))
        if place == len(rows):
            rows.append([])
            left.append(context)
        rows[place].append((tokens, begin))
        left[place] -= len(tokens)
    ids, labels, positions, segment = (torch.zeros(len(rows), context, dtype=torch.int64) for _ in range(4))
    labels.fill_(-100)
    for row, items in enumerate(rows):
        at = 0
        for number, (tokens, begin) in enumerate(items, start=1):
            end = at + len(tokens)
            ids[row, at:end] = torch.tensor(tokens)
            labels[row, at + begin : end] = ids[row, at + begin : end]
            positions[row, at:end] = torch.arange(len(tokens))
            segment[row, at:end] = number
            at = end
    mask = (segment[:, :, None] == segment[:, None, :]).tril()
    return {"input_ids": ids, "labels": labels, "position_ids": positions, "attention_mask": mask[:, None]}


@torch.no_grad()
def evaluate(model: Any, asked: list[Problem], context: int, batch: int = 32) -> float:
    """Mean cross-entropy in nats a token of the problems' textbook solutions; the model's mode is kept."""
    training = model.training
    model.eval()
    packed = pack([(problem.prompt, problem.solution) for problem in asked], context)
    total, count, device = 0.0, 0, next(model.parameters()).device
    for start in range(0, len(packed["input_ids"]), batch):
        part = {key: value[start : start + batch].to(device) for key, value in packed.items()}
        labels = part.pop("labels")[:, 1:]
        logits = model(**part, use_cache=False).logits[:, :-1].float()
        total += float(cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum"))
        count += int((labels >= 0).sum())
    model.train(training)
    return total / count


def _mean(values: Iterable[float]) -> float:
    found = [float(value) for value in values]
    return sum(found) / len(found) if found else 0.0
