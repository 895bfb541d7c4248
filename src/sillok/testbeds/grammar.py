"""Synthetic languages whose text is drawn from stated rules, so that its entropy is known exactly.

A document is one line of one language, and its first byte says which: sentences with agreement, nested brackets
(Dyck), counting, and copying. Every byte follows a distribution that the bytes before it in the document fix:
`sample` returns -log of its probability beside each byte, and `entropy_rate` is the exact mean of that.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

END = 0  # the byte that ends a document
VERSION = 1  # of the languages and of how they are drawn from

Doubles = NDArray[np.float64]
Document = tuple[bytes, list[float]]  # without its END, and the surprisal of each byte in nats


@dataclass(frozen=True)
class Rule:
    """A production in Greibach's form: with probability `p` a nonterminal becomes `text`, then `rest`."""

    p: float
    text: str
    rest: tuple[str, ...] = ()


Grammar = Mapping[str, Sequence[Rule]]


def _zipf(total: float, words: str, *rest: str) -> list[Rule]:
    """A rule for each word, the k-th with a weight of 1/k, all together with probability `total`."""
    found = words.split(",")
    whole = sum(1 / (k + 1) for k in range(len(found)))
    return [Rule(total / (k + 1) / whole, word, rest) for k, word in enumerate(found)]


def _number(number: str, nouns: str, verbs: str) -> dict[str, list[Rule]]:
    """A noun, perhaps with something about it that holds other nouns, and the verb that agrees with it."""
    return {
        f"noun {number}": [
            *(Rule(0.1, adjective, (f"noun {number}",)) for adjective in ("old ", "young ")),
            *_zipf(0.8, nouns, f"verb {number}"),
        ],
        f"verb {number}": [
            *_zipf(0.7, verbs, "object", "stop"),
            Rule(0.15, "that ", (f"clause {number}",)),
            *_zipf(0.15, "near a dog ,near two dogs ,near the sea ", f"verb {number}"),
        ],
        f"clause {number}": _zipf(1.0, verbs, "object", "space", f"verb {number}"),
    }


SENTENCES: Grammar = {
    "start": [Rule(0.5, "a ", ("noun one",)), Rule(0.5, "two ", ("noun many",))],
    **_number(
        "one", "dog ,cat ,child ,teacher ,farmer ,queen ,sailor ,robot ", "sees ,likes ,hears ,follows "
    ),
    **_number(
        "many", "dogs ,cats ,children ,teachers ,farmers ,queens ,sailors ", "see ,like ,hear ,follow "
    ),
    "object": _zipf(1.0, "the river,the moon,a song,some bread,nothing"),
    "space": [Rule(1.0, " ")],
    "stop": [Rule(0.85, "."), Rule(0.15, "!")],
}
_CLOSE = 0.55  # P(a bracket closes here); above a half, so that nesting comes to an end
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
BRACKETS: Grammar = {
    "start": [Rule(1 / 3, first, (last,)) for first, last in _BRACKETS],
    **{
        close: [
            Rule(_CLOSE, close),
            *(Rule((1 - _CLOSE) / 3, first, (last, close)) for first, last in _BRACKETS),
        ]
        for _, close in _BRACKETS
    },
}


class ContextFree:
    """A probabilistic context-free language, drawn from left to right.

    Args:
        grammar: nonterminals and their rules, beginning with "start". No text of a nonterminal may be the
            beginning of another of its texts: what was drawn can then be told from the bytes alone.

    Raises:
        ValueError: probabilities that do not add up to 1, texts that begin alike, an unknown nonterminal, or
            derivations that never end on average.
    """

    def __init__(self, grammar: Grammar) -> None:
        for name, rules in grammar.items():
            texts = sorted(rule.text for rule in rules)
            if any(not a or b.startswith(a) for a, b in zip(texts, [*texts[1:], ""], strict=True)):
                raise ValueError(f"texts of {name!r} must be neither empty nor beginnings of one another")
            if abs(sum(rule.p for rule in rules) - 1) > 1e-9 or min(rule.p for rule in rules) <= 0:
                raise ValueError(f"probabilities of {name!r} must be positive and add up to 1")
            unknown = {symbol for rule in rules for symbol in rule.rest} - set(grammar)
            if unknown:
                raise ValueError(f"{name!r} leads to unknown nonterminals {sorted(unknown)}")
        self._rules = {name: _table(rules) for name, rules in grammar.items()}
        self.entropy, self.length = _expectations(grammar)

    def draw(self, uniform: Iterator[float]) -> Document:
        """One string, and the surprisal of each byte in nats."""
        text: list[bytes] = []
        surprisal: list[float] = []
        stack = ["start"]
        while stack:
            u = next(uniform)
            for bound, part, nats, rest in self._rules[stack.pop()]:
                if u < bound:
                    text.append(part)
                    surprisal += nats
                    stack += rest
                    break
        return b"".join(text), surprisal


def _table(rules: Sequence[Rule]) -> list[tuple[float, bytes, list[float], tuple[str, ...]]]:
    """For each rule the upper bound of its uniform numbers, its text, surprisal by byte, and stack."""
    rows, bound = [], 0.0
    for rule in rules:
        bound += rule.p
        shares = [
            sum(other.p for other in rules if other.text.startswith(rule.text[:end]))
            for end in range(len(rule.text) + 1)
        ]
        nats = [math.log(a / b) for a, b in itertools.pairwise(shares)]
        rows.append((bound, rule.text.encode(), nats, rule.rest[::-1]))
    rows[-1] = (math.inf, *rows[-1][1:])
    return rows


def _expectations(grammar: Grammar) -> tuple[float, float]:
    """Mean surprisal and mean length of a string: both are linear in those of the nonterminals."""
    names = list(grammar)
    own, children = np.zeros((len(names), 2)), np.zeros((len(names), len(names)))
    for i, name in enumerate(names):
        for rule in grammar[name]:
            own[i] += -rule.p * math.log(rule.p), rule.p * len(rule.text)
            for symbol in rule.rest:
                children[i, names.index(symbol)] += rule.p
    if np.abs(np.linalg.eigvals(children)).max() >= 1:
        raise ValueError("grammar must end on average: its nonterminals give rise to one or more each")
    entropy, length = np.linalg.solve(np.eye(len(names)) - children, own)[names.index("start")]
    return float(entropy), float(length)


class Counting:
    """``#`` and then a, b and c, each n times, n geometric: not context-free. All but the a are settled."""

    def __init__(self, again: float = 0.85) -> None:
        self.again = again
        mean = 1 / (1 - again)
        self.length = 1 + 3 * mean
        self.entropy = -mean * (again * math.log(again) + (1 - again) * math.log(1 - again))

    def draw(self, uniform: Iterator[float]) -> Document:
        """One string, and the surprisal of each byte in nats."""
        n = 1
        while next(uniform) < self.again:
            n += 1
        more, last = -math.log(self.again), -math.log(1 - self.again)
        nats = [0.0, 0.0, *[more] * (n - 1), last, *[0.0] * (2 * n - 1)]
        return b"#" + b"a" * n + b"b" * n + b"c" * n, nats


class Copying:
    """``"`` and a word of random letters; then ``=`` and the word again, or ``~`` and the word backwards."""

    letters = b"bdfgklpr"

    def __init__(self, again: float = 0.85) -> None:
        self.again = again
        mean = 1 / (1 - again)
        self.length = 2 + 2 * mean
        stop = -(again * math.log(again) + (1 - again) * math.log(1 - again))
        self.entropy = mean * (stop + math.log(len(self.letters))) + math.log(2)

    def draw(self, uniform: Iterator[float]) -> Document:
        """One string, and the surprisal of each byte in nats."""
        kinds = len(self.letters)
        word = bytearray([self.letters[int(kinds * next(uniform))]])
        while next(uniform) < self.again:
            word.append(self.letters[int(kinds * next(uniform))])
        mark, second = (b"=", word) if next(uniform) < 0.5 else (b"~", word[::-1])
        letter = math.log(kinds) - math.log(self.again)
        nats = [0.0, math.log(kinds), *[letter] * (len(word) - 1)]
        nats += [math.log(2) - math.log(1 - self.again), *[0.0] * len(word)]
        return b'"' + bytes(word) + mark + bytes(second), nats


Language = ContextFree | Counting | Copying


@functools.cache
def languages() -> dict[str, tuple[float, Language]]:
    """The languages, each with the share of documents that are in it."""
    return {
        "sentences": (0.4, ContextFree(SENTENCES)),
        "brackets": (0.25, ContextFree(BRACKETS)),
        "counting": (0.1, Counting()),
        "copying": (0.25, Copying()),
    }


def entropy_rate() -> float:
    """Nats a byte, END included, of an endless text: entropy of a document by its mean length. Exact.

    No predictor has a lower expected loss, whatever it sees of the text before.
    """
    entropy = sum(share * (language.entropy - math.log(share)) for share, language in languages().values())
    return entropy / sum(share * (language.length + 1) for share, language in languages().values())


def sample(size: int, seed: int) -> tuple[NDArray[np.uint8], Doubles]:
    """At least `size` bytes of whole documents, and the surprisal of each byte in nats; (T,) each."""
    rng = np.random.default_rng([VERSION, seed])
    uniform = itertools.chain.from_iterable(rng.random(8192).tolist() for _ in itertools.count())
    shares = [share for share, _ in languages().values()]
    draws = [language.draw for _, language in languages().values()]
    bounds = [*itertools.accumulate(shares[:-1]), math.inf]
    text = bytearray()
    surprisal = array("d")  # a list of so many floats takes several times as long
    while len(text) < size:
        which = bisect.bisect_right(bounds, next(uniform))
        document, nats = draws[which](uniform)
        text += document
        text.append(END)
        nats[0] -= math.log(shares[which])
        nats.append(0.0)
        surprisal.extend(nats)
    return np.frombuffer(bytes(text), np.uint8), np.array(surprisal)
