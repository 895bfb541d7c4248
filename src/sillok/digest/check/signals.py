"""Signals of a sentence: how well the paper has its words, and its figures in its context."""

from __future__ import annotations

from sillok.digest.check.background import Background
from sillok.digest.check.figures import Figure, comparable, matches
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match, is_label
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.terms import COMMON
from sillok.digest.check.turns import is_difference

#: What a figure of the paper loses by standing with another name, and the bounds of a margin between contexts.
_CONFLICT, _LEAST, _MOST = 0.3, -0.5, 0.7
#: The reason of a sentence that shares too few words with the paper; only this one a model may overrule.
UNCOVERED = "no passage of the paper covers this sentence"


def margin(
    claim: Statement,
    index: int,
    found: tuple[list[Match], list[Match], list[Match]],
    paper: Paper,
    result: Judgement,
) -> None:
    """Signal by how much the context of another value is better than the best one of this value.

    `found` are the paper's figures of equal value, those of them that nothing speaks against, and those of another.
    """
    figure = claim.figures[index]
    if not weighs(figure):
        return
    same, _, others = found
    rest = [f for n, f in enumerate(claim.figures) if n != index]
    gap = is_difference(claim, index)  # which tables of levels do not have
    clear = [m.score for m in same if not m.conflicts]
    mine = max(clear, default=max((m.score - _CONFLICT for m in same), default=0.0))
    theirs = max(
        (
            m.score
            for m in others
            if not m.conflicts
            and not is_label(m)
            and not (gap and m.statement.cell)
            and (m.figure.unit == figure.unit or "?" in (m.figure.unit, figure.unit))
            and 0.1 < m.figure.value / (figure.value or 1) < 10
            and not any(comparable(f, m.figure) and matches(f, m.figure) for f in rest)
        ),
        default=0.0,
    )
    margin = min(max(theirs - mine, _LEAST), _MOST) * clarity(claim, paper)
    for kind in ("margin-worst", *(("margin-two",) if figure.digits < 3 else ())):
        result.signals[kind] = max(result.signals.get(kind, _LEAST), margin)


def context(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Signal how badly the figures' best contexts in the paper agree with the sentence, on average and at worst."""
    scores = [
        min(max(max(m.score for m in matches), 0.0), 1.0)
        for figure, matches in zip(claim.figures, found, strict=True)
        if matches and weighs(figure)
    ]
    if scores:
        clear = clarity(claim, paper)
        result.signals["context-mean"] = clear * (1 - sum(scores) / len(scores))
        result.signals["context-worst"] = clear * (1 - min(scores))


def covered(claim: Statement, paper: Paper, papers: Background, result: Judgement) -> None:
    """Check how much of a sentence's words the best passages have; alone it decides where there are no figures."""
    wanted: dict[str, float] = {}
    for term in claim.terms:
        weight = {"name": 1.5, "concept": 1.0, "word": 0.7}[term.kind] * min(paper.weight(term.key), 2.5)
        wanted[term.key] = max(wanted.get(term.key, 0.0), weight)
    telling = [key for key in wanted if key not in COMMON]
    found = search(paper, dict.fromkeys(wanted, 1.0), 3)
    if not claim.figures:
        for _, number in found[:2]:
            result.cite(number)
    if len(telling) < 2:
        result.empty = not claim.figures and not result.doubts
        return
    result.checked += 1
    total = sum(wanted.values())
    covers = [sum(w for k, w in wanted.items() if k in paper.keys[number]) / total for _, number in found]
    union = set().union(*(paper.keys[number] for _, number in found)) if found else set()
    three = sum(w for k, w in wanted.items() if k in union) / total
    known = papers.likelihood(telling, paper.idf, sum(paper.lengths))
    side = "figures" if any(weighs(figure) for figure in claim.figures) else "plain"
    result.signals[f"{side}-one"] = 1 - max(covers, default=0.0)
    result.signals[f"{side}-three"] = 1 - three
    result.signals[f"{side}-foreign"] = -max(-6.0, min(6.0, known)) / 6
    if side == "plain":
        result.doubt("plain", "not found", UNCOVERED)


def clarity(claim: Statement, paper: Paper) -> float:
    """How far a sentence's terms tell which part of the paper it speaks of, from 0 to 1: few known ones tell little."""
    known = {t.key for t in claim.terms if t.key in paper.idf and t.key not in COMMON}
    return min(1.0, len(known) / 5)


def telling(claim: Statement, paper: Paper) -> bool:
    """Tell whether a sentence has enough terms that the paper knows to judge a figure's context by."""
    known = {t.key: t.kind for t in claim.terms if t.key in paper.idf and t.key not in COMMON}
    return len(known) > 1 or "name" in known.values()


def weighs(figure: Figure) -> bool:
    """Tell whether a figure says anything by itself: one that is no small number, and no "half" or "twice"."""
    return (
        not figure.word and (figure.digits > 1 or bool(figure.unit)) and figure.printed > 1
    ) or figure.decimals


def search(paper: Paper, wanted: dict[str, float], limit: int = 3) -> list[tuple[float, int]]:
    """Return the passages that BM25 ranks highest for weighted keys, best first, with their scores."""
    scored = []
    for number, held in enumerate(paper.keys):
        score = 0.0
        for key, weight in wanted.items():
            count = held.get(key, 0)
            if count:
                length = 0.25 + 0.75 * paper.lengths[number] / paper.mean_length
                score += weight * paper.weight(key) * count * 2.2 / (count + 1.2 * length)
        if score:
            scored.append((score, number))
    scored.sort(key=lambda pair: (-pair[0], pair[1]))
    return scored[:limit]
