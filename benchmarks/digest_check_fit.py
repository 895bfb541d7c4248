"""Fit the weights of the checker's doubts on the development papers of the planted set.

    python benchmarks/digest_check_fit.py [--write]

A logistic regression says from the doubts and signals of a sentence (`sillok.digest.check.judgement`) whether it
holds an error. True and planted sentences count alike; doubts cannot speak for a sentence. Shown is, for each
development paper, what the weights fitted on the others reach on it, all papers together. `--write` replaces
background.txt (in how many papers a term stands) and weights.py beside the checker.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "digest" / "check"))

import planted_set

from sillok.digest import check
from sillok.digest.check import background, verdicts
from sillok.digest.check.latex import delatex
from sillok.digest.check.paper import Paper
from sillok.digest.check.sentences import plain, sentences
from sillok.digest.check.statements import statement

FOLDER = Path(check.__file__).parent
#: Strength of the penalty on squared weights.
PENALTY = 1.0
#: Weights that the penalty pulls towards, of doubts that are near to a proof and seldom occur; 0 for all others.
PRIOR = {"object": 3.0, "rank-both": 3.0, "pairs": 3.0, "level": 3.0, "unit": 3.0, "unit2": 3.0, "name": 3.0}
#: Upper bounds for doubts that are common in true sentences about whole real papers, where they tell less than here.
#: 480 true sentences and 480 with an error about 30 papers whose texts cannot be kept here (docs/checking.md): a bound
#: is some one and a half times log((true + added) / true), of the sentences with the doubt and those that an error
#: adds it to.
CAPS = {
    "aligned": 0.5, "aligned-plain": 0.5, "column": 0.5, "conflict-near": 1.8, "displaced-fore-plain": 0.3,
    "displaced-plain": 0.4, "elsewhere": 0.7, "elsewhere-small": 0.3, "elsewhere-two": 1.5, "extreme": 0.7,
    "outdone": 1.4, "replaced": 1.0, "replaced-fore": 0.2, "replaced-fore-plain": 0.5, "replaced-plain": 0.5,
    "stray-name-fore": 0.4, "stray-place": 0.3,
}  # fmt: skip
#: Signals that may speak for a sentence too; all else is a doubt.
SIGNALS = ("plain", "figures", "context", "apart", "margin", "explain", "ranks")
_HEAD = '''"""Weights of doubts and signals: the log-odds that each adds; above nought a sentence fails.

Written by benchmarks/digest_check_fit.py.
"""

#: Log-odds of an error where nothing speaks for or against a sentence.
BIAS = {bias:.3f}
#: Strengths of doubts of one kind count up to this sum.
MOST = 2.0
WEIGHTS: dict[str, float] = {{
'''


def count_terms(papers: dict[str, Paper]) -> str:
    """Return background.txt: the number of papers, their mean length, and terms that two or more of them have."""
    counts = Counter(key for paper in papers.values() for key in paper.idf)
    length = sum(sum(paper.lengths) for paper in papers.values()) / len(papers)
    lines = [f"{key} {count}" for key, count in sorted(counts.items()) if count > 1]
    return "\n".join((f"{len(papers)} {length:.0f}", *lines)) + "\n"


def without(known: background.Background, paper: Paper) -> background.Background:
    """The counts as they would be without one of the papers that were counted."""
    less = {key: count - (key in paper.idf) for key, count in known.counts.items()}
    return replace(known, papers=known.papers - 1, counts={k: n for k, n in less.items() if n > 1})


def examined(papers: dict[str, Paper]) -> Iterator[tuple[planted_set.Sentence, dict[str, float]]]:
    """Yield each sentence of the papers with its features, of the background without its paper."""
    known = background.background()
    for id, paper in papers.items():
        less = without(known, paper)
        for sentence in (*planted_set.true(tuple(papers)), *planted_set.planted(tuple(papers))):
            if sentence.id == id:
                pieces = [
                    statement(delatex(plain(p.text)), None, paper.called) for p in sentences(sentence.text)
                ]
                found = [verdicts.examine(piece, paper, less).features() for piece in pieces]
                yield sentence, max(found, key=lambda one: sum(map(abs, one.values())))


def fit(rows: Any, wrong: Any, kinds: list[str]) -> Any:
    """Return weights and, last, the bias: Newton's steps, weights of doubts kept between nought and their bounds."""
    share = np.where(wrong == 1, 1.0, wrong.sum() / max(1, (1 - wrong).sum()))
    doubts = np.array([kind.split("-")[0] not in SIGNALS for kind in kinds] + [False])
    penalty = np.array([PENALTY] * len(kinds) + [1e-3])
    prior = np.array([PRIOR.get(kind, 0.0) for kind in kinds] + [0.0])
    most = np.array([CAPS.get(kind, np.inf) for kind in kinds] + [np.inf])
    weights = prior.copy()
    for _ in range(60):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (share * (chance - wrong)) + penalty * (weights - prior)
        curve = (rows * (share * chance * (1 - chance))[:, None]).T @ rows + np.diag(penalty)
        weights = weights - np.linalg.solve(curve, slope)
        weights[doubts] = np.maximum(weights[doubts], 0)
        weights = np.minimum(weights, most)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--threshold", type=float, default=0.0, help="log-odds above which a sentence fails")
    options = parser.parse_args()
    papers = {id: Paper(planted_set.paper(id)) for id in planted_set.HALVES["development"]}
    if options.write:
        (FOLDER / "background.txt").write_text(count_terms(papers), encoding="utf-8")
        background.background.cache_clear()
    told = list(examined(papers))
    kinds = sorted({kind for _, features in told for kind in features})
    rows = np.array([[features.get(kind, 0.0) for kind in kinds] + [1.0] for _, features in told])
    wrong = np.array([float(sentence.kind is not None) for sentence, _ in told])
    ids = np.array([sentence.id for sentence, _ in told])
    languages = np.array([sentence.language for sentence, _ in told])
    scores = np.zeros(len(told))
    for id in papers:
        scores[ids == id] = rows[ids == id] @ fit(rows[ids != id], wrong[ids != id], kinds)
    for language in ("en", "ko"):
        flagged = scores[languages == language] > options.threshold
        false = wrong[languages == language] == 0
        print(
            f"left out in turn, {language}: {100 * flagged[~false].mean():.1f} % of {(~false).sum()} errors flagged,"
            f" {100 * flagged[false].mean():.1f} % of {false.sum()} true sentences"
        )
    weights = fit(rows, wrong, kinds)
    text = _HEAD.format(bias=weights[-1] - options.threshold)
    text += "".join(
        f'    "{kind}": {weight:.3f},\n' for kind, weight in zip(kinds, weights, strict=False) if weight
    )
    if options.write:
        (FOLDER / "weights.py").write_text(text + "}\n", encoding="utf-8")
    else:
        print(text + "}")


if __name__ == "__main__":
    main()
