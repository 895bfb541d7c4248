"""What a prompt asks for, and the stated distribution over replies to it.

A kind of reply is recognised by what the prompt shows: two solutions in tags (a comparison), one in tags (a
score, or yes or no), options with letters (a choice), a question that is to be answered by yes or no; all else
is a question. The kinds that came later are looked for only where their argument is given, so that they change
nothing for those who do not ask for them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sillok.testbeds.sim_model.settings import SCORE_FORMS, VERDICTS, Settings

_ANSWER = re.compile(r"ANSWER:[ \t]*(.+)")
_OPTION = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_YES_NO = re.compile(r"\byes\b.{0,20}\bno\b", re.IGNORECASE | re.DOTALL)
UNPARSABLE = "Both have their merits."
UNDECIDED = "It depends on how one looks at it."
REFUSAL = "I am sorry, but I cannot help with that."


@dataclass(frozen=True)
class Reply:
    """A reply in three parts, the middle one being what was decided, and how likely each decision was.

    Attributes:
        before, answer, after: the text; an answer counts as one token.
        chances: the stated probability of each answer, given the prompt (and the question's difficulty, where
            correlation is asked for); they add up to 1 less the share of replies without any answer.
    """

    before: str
    answer: str
    after: str = ""
    chances: dict[str, float] = field(default_factory=dict)
    refused: bool = False

    @property
    def text(self) -> str:
        """The whole reply."""
        return self.before + self.answer + self.after


Generators = Callable[[str], np.random.Generator]  # one for each name, all settled by prompt and call


class Kinds:
    """Draws replies by `settings`."""

    def __init__(self, settings: Settings) -> None:
        self.s = settings
        first, second = (f"<{tag}>(?P<{name}>.*?)</{tag}>" for name, tag in _named(settings.pair_tags))
        self._pair = re.compile(f"{first}.*?{second}", re.DOTALL)
        tag = settings.judged_tag
        self._judged = re.compile(f"<{tag}>(.*?)</{tag}>", re.DOTALL)

    def reply(self, prompt: str, generators: Generators) -> Reply:
        """A reply to `prompt`; the main generator of this call is the one named ""."""
        if self.s.refusal and generators("refusal").random() < self.s.refusal:
            return Reply("", REFUSAL, chances={REFUSAL: self.s.refusal}, refused=True)
        reply = self._kind(prompt, generators(""))
        if self.s.refusal:
            chances = {answer: p * (1 - self.s.refusal) for answer, p in reply.chances.items()}
            return Reply(reply.before, reply.answer, reply.after, chances)
        return reply

    def _kind(self, prompt: str, rng: np.random.Generator) -> Reply:
        s = self.s
        if pair := self._pair.search(prompt):
            return self._verdict(prompt, pair, rng)
        judged = self._judged.search(prompt)
        asks = s.sensitivity is not None and _YES_NO.search(prompt) is not None
        if asks and (judged or self._stated(prompt) is not None):
            return self._yes_no(prompt, judged, rng)
        if s.scale is not None and judged:
            return self._score(prompt, judged, rng)
        options = dict(_OPTION.findall(prompt)) if s.p_choice is not None else {}
        if len(options) > 1:
            return self._choice(prompt, options, rng)
        return self._solution(prompt, rng)

    # -- questions and comparisons: the order of their draws is settled, since measured trials stand on it

    def _solution(self, prompt: str, rng: np.random.Generator) -> Reply:
        right = self._of("right", self.s.right, prompt)
        p = self._hard("question", self._of("p_gen", self.s.p_gen, prompt), self._question(prompt))
        answer = right
        if rng.random() >= p:
            answer = str(rng.choice(list(self.s.wrong_answers), p=list(self.s.wrong_answers.values())))
        chances = {right: p, **{wrong: (1 - p) * share for wrong, share in self.s.wrong_answers.items()}}
        # A number of its own makes two solutions with one answer two texts, as with a real model.
        before = f"Attempt {rng.integers(2**40):010x} at this question.\nANSWER: "
        return Reply(before, answer, chances=chances)

    def _verdict(self, prompt: str, pair: re.Match[str], rng: np.random.Generator) -> Reply:
        s = self.s
        texts = pair["first"].strip(), pair["second"].strip()
        p = self._preferred(prompt[: pair.start()] + prompt[pair.end() :], *texts)
        p += s.position_bias + s.length_bias * int(np.sign(len(texts[0]) - len(texts[1])))
        chance, left = min(1.0, max(0.0, p)), 1 - s.tie - s.unparsable
        usual = s.verdicts == VERDICTS
        words = ("1", "2", "tie") if usual else s.verdicts
        chances = dict(zip(words, (left * chance, left * (1 - chance), s.tie), strict=True))
        kind = rng.random()
        if kind < s.unparsable:
            return Reply("", UNPARSABLE, chances={**chances, UNPARSABLE: s.unparsable})
        if kind < s.unparsable + s.tie:
            which, lead = 2, "They are equally good.\nVERDICT: "
        else:
            which = 0 if self._uniform(texts, rng) < p else 1
            lead = f"Solution {which + 1} is better.\nVERDICT: "
        return Reply(lead if usual else "", words[which], chances=chances)

    def _uniform(self, texts: tuple[str, str], rng: np.random.Generator) -> float:
        if rng.random() >= self.s.dependence:
            return float(rng.random())
        # One uniform number for the pair, whichever order it is shown in: every such comparison
        # of the pair has the same outcome (bias aside).
        key = hashlib.sha256("\0".join(sorted(texts)).encode()).digest()
        u = float(generator(self.s.seed, "pair", key).random())
        return u if texts[0] <= texts[1] else 1 - u

    def _preferred(self, prompt: str, first: str, second: str) -> float:
        """P(the first solution is preferred) by its answer, before any bias."""
        a, b = _answer(first), _answer(second)
        question = self._question(prompt)
        if (a, b) in self.s.preferences:
            low, high = sorted((a, b))
            p = self._hard("preference", self.s.preferences[low, high], f"{question}\0{low}\0{high}")
            # as it stands where nothing was drawn: 1 - (1 - p) is not p in floating point
            return self.s.preferences[a, b] if not self.s.correlation else p if a == low else 1 - p
        right = self._of("right", self.s.right, prompt)
        good = [answer == right for answer in (a, b)]
        if good[0] == good[1]:
            return 0.5
        p_comp = self._hard("comparison", self._of("p_comp", self.s.p_comp, prompt), question)
        return p_comp if good[0] else 1 - p_comp

    # -- judgements of one answer, and choices: one uniform number each, over a table of chances

    def _score(self, prompt: str, judged: re.Match[str], rng: np.random.Generator) -> Reply:
        s = self.s
        low, high = s.scale
        mean = self._quality(prompt, judged) + s.score_bias
        if s.correlation:
            key = f"{self._question(_without(prompt, judged))}\0{judged[1].strip()}"
            mean += s.score_noise * math.sqrt(s.correlation) * float(self._latent("score", key).normal())
        spread = s.score_noise * math.sqrt(1 - s.correlation)
        below = [_normal(edge + 0.5, mean, spread) for edge in range(low, high)]
        chances = np.diff([0.0, *below, 1.0])
        table = {str(low + i): float(p) for i, p in enumerate(chances) if p > 0}
        before, after = SCORE_FORMS[s.score_form]
        return self._pick(table, rng, before, after)

    def _quality(self, prompt: str, judged: re.Match[str]) -> float:
        """The true score of the judged answer."""
        answer = _answer(judged[1].strip())
        if self.s.quality is not None:
            if answer in self.s.quality:
                return float(self.s.quality[answer])
            return float(self._of("quality", self.s.quality, judged[1]))
        low, high = self.s.scale
        right = answer == self._of("right", self.s.right, _without(prompt, judged))
        return float(low + (high - low) * (0.75 if right else 0.25))

    def _yes_no(self, prompt: str, judged: re.Match[str] | None, rng: np.random.Generator) -> Reply:
        question, answer = prompt, ""
        truth = self._stated(prompt)
        if judged:
            question, answer = _without(prompt, judged), _answer(judged[1].strip())
            if truth is None:
                truth = answer == self._of("right", self.s.right, question)
        kind, p = ("yes", self.s.sensitivity) if truth else ("no", self.s.specificity)
        p = self._hard(kind, p, f"{self._question(question)}\0{answer}")
        yes = p if truth else 1 - p
        return self._pick({"Yes": yes, "No": 1 - yes}, rng)

    def _stated(self, prompt: str) -> bool | None:
        """The stated truth of the question in the prompt, where there is one."""
        found = [key for key in self.s.truth or {} if key in prompt]
        return bool(self.s.truth[max(found, key=len)]) if found else None

    def _choice(self, prompt: str, options: dict[str, str], rng: np.random.Generator) -> Reply:
        s = self.s
        right = self._of("right", s.right, prompt)
        letters = [letter for letter, text in options.items() if text == right] or [right]
        if letters[0] not in options:
            raise ValueError(
                f"right answer {right!r} is no option of this prompt: {sorted(options.values())}"
            )
        p = self._hard("choice", self._of("p_choice", s.p_choice, prompt), self._question(prompt))
        pull = s.preference if s.preferred in options else 0.0
        table = {
            letter: (1 - pull) * (p if letter == letters[0] else (1 - p) / (len(options) - 1))
            + pull * (letter == s.preferred)
            for letter in options
        }
        return self._pick(table, rng, "ANSWER: ", judges=False)

    def _pick(
        self,
        table: dict[str, float],
        rng: np.random.Generator,
        before: str = "",
        after: str = "",
        judges: bool = True,
    ) -> Reply:
        """Draw from a table of chances; a judgement may also hold nothing, at the stated rate."""
        lost = self.s.unparsable if judges else 0.0
        chances = {answer: (1 - lost) * p for answer, p in table.items()}
        u = rng.random()
        for answer, p in chances.items():
            if u < p:
                return Reply(before, answer, after, chances)
            u -= p
        if lost:
            return Reply("", UNDECIDED, chances={**chances, UNDECIDED: lost})
        answer = max(chances, key=lambda key: chances[key])  # u was 1 up to rounding
        return Reply(before, answer, after, chances)

    # -- what is shared by the calls about one question

    def _question(self, prompt: str) -> str:
        """What makes two prompts one question: the key of `right` that they contain, or else all of the prompt."""
        if isinstance(self.s.right, dict):
            found = [key for key in self.s.right if key in prompt]
            if found:
                return max(found, key=len)
        return prompt

    def _hard(self, kind: str, p: float, question: str) -> float:
        """The chance of being right about one question, whose mean over questions is `p`.

        It follows a Beta distribution with a + b = 1 / r - 1: two calls about one question are then right
        together with a correlation of exactly r.
        """
        r = self.s.correlation
        if not r or p in (0.0, 1.0):
            return p
        mass = 1 / r - 1
        return float(self._latent(kind, question).beta(p * mass, (1 - p) * mass))

    def _latent(self, kind: str, question: str) -> np.random.Generator:
        seed = self.s.seed if self.s.difficulty_seed is None else self.s.difficulty_seed
        return generator(seed, f"difficulty/{kind}", hashlib.sha256(question.encode()).digest())

    def _of(self, name: str, values: Any, prompt: str) -> Any:
        """The value of the question in the prompt: of the longest key that the prompt contains."""
        if not isinstance(values, dict):
            return values
        found = [key for key in values if key in prompt]
        if not found:
            raise ValueError(f"{name} names no question of this prompt: {prompt[:200]!r}")
        return values[max(found, key=len)]


def generator(seed: int, index: int | str, key: bytes) -> np.random.Generator:
    """The generator of one call about one prompt."""
    digest = hashlib.sha256(f"{seed}/{index}/".encode() + key).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _named(tags: tuple[str, str]) -> list[tuple[str, str]]:
    return list(zip(("first", "second"), tags, strict=True))


def _answer(text: str) -> str:
    """The last line of a text that states its answer, or else the text itself."""
    return str((_ANSWER.findall(text) or [text])[-1]).strip()


def _without(prompt: str, part: re.Match[str]) -> str:
    return prompt[: part.start()] + prompt[part.end() :]


def _normal(x: float, mean: float, spread: float) -> float:
    """P(N(mean, spread^2) < x); with no spread, half of the mass at x itself counts as above."""
    if spread == 0:
        return float(mean < x)
    return 0.5 * math.erfc((mean - x) / (spread * math.sqrt(2)))
