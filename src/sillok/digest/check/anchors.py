"""Names and metrics of a sentence against those that its figures stand with in the paper, wherever that is.

Which figure of a sentence belongs to which of its names is easily misread. What can be told without it: a name
with which none of the sentence's figures stands in the paper, beside a figure that in the paper always stands with
a rival of that name which the sentence does not mention.
"""

from __future__ import annotations

import re

from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.terms import COMMON, Term, lexicon

_ON = re.compile(r"\b(?:on|across)\s(?:the\s)?\Z", re.IGNORECASE)
_ON_KOREAN = re.compile(r"(?:\([^()]*\))?\s?(?:에서|데이터|벤치마크|의 경우)")


def anchored(claim: Statement, found: list[list[Match]], *, tight: bool = False) -> set[str]:
    """The keys that stand with a figure of the sentence in the paper: in its row or column, or in its sentence.

    `tight` asks for those that go with the figure itself, and not with another one of its sentence.
    """
    near = _tight if tight else _around
    return set().union(*(near(m) for n, m_ in enumerate(found) if _exact(claim, n) for m in m_))


def check_anchors(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Look for names and metrics that no figure of the sentence stands with."""
    telling = [n for n, m in enumerate(found) if m and _exact(claim, n)]
    if not telling:
        return
    near = anchored(claim, found)
    said = paper.known_as(claim.keys)
    _metrics(claim, near, paper, result)
    loose = {
        t.key: t
        for t in claim.terms
        if (t.kind == "name" or (t.kind == "concept" and t.key in paper.placed and t.key not in COMMON))
        and t.key not in paper.own
        and t.key not in near
        and not paper.aliases.get(t.key, set()) & near
    }
    if len(loose) > 3:
        return  # an average over all that is listed
    for key, term in loose.items():
        rivals = set(paper.rivals.get(key, ()))
        place = _is_place(claim, term)
        if place:
            rivals |= paper.data - {key}
        name = claim.text[term.start : term.end]
        kind = "place" if place else "name" if term.kind == "name" else "concept"
        if key in claim.objects and kind == "name":
            kind = "object"  # "better than X with 71.2 %" gives a figure that is not of X
        elif kind == "name" and (key in claim.subjects or _owns(claim, term)):
            kind = "subject"
        if _usurped(claim, found, telling, rivals - said, name, kind, paper, result):
            continue
        kind += "-fore" if key in paper.fore and kind != "object" else ""
        if key in paper.placed and kind != "object":
            result.doubt(f"loose-{kind}", "not found", f"{name}: no figure of this sentence stands with it")
        elif kind.removesuffix("-fore") in ("name", "place", "subject"):
            result.doubt(f"stray-{kind}", "not found", f"{name}: no figure of this sentence stands with it")


_FOR = re.compile(r"\s*\S{0,8}\s*(?:for|of|by)\s+(?:the\s+)?")


def _owns(claim: Statement, term: Term) -> bool:
    """Tell whether a figure is said to be a name's: "97.1 % for X", "X의 97.1 %"."""
    if claim.korean:
        return re.match(r"(?:\([^()]*\))?의\s(?:약\s)?[0-9]", claim.text[term.end :]) is not None
    before = [f.end for f in claim.figures if f.end <= term.start]
    return bool(before) and _FOR.fullmatch(claim.text[before[-1] : term.start]) is not None


def _is_place(claim: Statement, term: Term) -> bool:
    """Tell whether a name says where something was measured: "on X", "X에서"."""
    if claim.korean:
        return term.kind == "name" and _ON_KOREAN.match(claim.text, term.end) is not None
    return term.kind == "name" and _ON.search(claim.text[: term.start]) is not None


def _usurped(
    claim: Statement,
    found: list[list[Match]],
    telling: list[int],
    rivals: set[str],
    name: str,
    kind: str,
    paper: Paper,
    result: Judgement,
) -> bool:
    """Doubt a name where a figure always stands with one of its rivals."""
    for number in telling:
        theirs = [_tight(m) & rivals for m in found[number]]
        if not theirs or not all(theirs):
            continue
        figure = claim.figures[number]
        held = sorted(set.union(*theirs), key=lambda key: (key in paper.own, key))
        own = "-own" if kind != "subject" and all(t <= paper.own for t in theirs) else ""
        there = paper.show(held[0].lstrip("~"))
        result.doubt(
            f"swap-{kind}{own}",
            "contradicted",
            f"{claim.text[figure.start : figure.end]}: in the paper it stands with {there}, not with {name}",
            1.0 if figure.digits > 2 else 0.6,
        )
        return True
    return False


def _metrics(claim: Statement, near: set[str], paper: Paper, result: Judgement) -> None:
    known = lexicon().concepts
    for term in {t.key: t for t in claim.terms if t.key in known and known[t.key].metric}.values():
        if term.key not in _NAMED | _LEVELS or term.key in near:
            continue
        family = {k for k, c in known.items() if c.family == known[term.key].family}
        name = claim.text[term.start : term.end]
        if term.key not in paper.idf and term.key in _NAMED:
            result.doubt("metric-absent", "not found", f"{name}: nowhere in the paper")
        elif not family & near:
            result.doubt("metric-loose", "not found", f"{name}: no figure of this sentence stands with it")


#: Metrics that a paper calls by their name, and measures that it may call otherwise.
_NAMED = frozenset(
    re.findall(
        r"\S+",
        """bleu chrf rouge meteor fid fvd psnr ssim lpips perplexity f1 recall precision wer cer auc iou dice mrr ndcg
        map brier brier-skill crps clipscore exact-match pearson spearman kappa rmse mae hausdorff calibration-error""",
    )
)
_LEVELS = frozenset(("accuracy", "latency", "throughput", "memory", "win-rate", "success", "loss"))
#: The unit in which a measure is told.
_UNITS = {
    "latency": "s", "time": "s", "training-time": "s", "memory": "byte", "size": "byte", "energy": "J", "power": "W",
    "cost": "$", "psnr": "dB", "fps": "fps", "bandwidth": "bit/s",
}  # fmt: skip


def check_units(claim: Statement, result: Judgement) -> None:
    """Doubt a measure told in another one's unit: "a latency of 0.25 GB"."""
    for index, figure in enumerate(claim.figures):
        told = {
            t.key: t for t in claim.terms if t.key in _UNITS and t.key in claim.bound[index] | claim.shared
        }
        if figure.unit not in _UNITS.values() or len(told) != 1:
            continue
        ((key, term),) = told.items()
        if any(f.unit == _UNITS[key] for f in claim.figures):
            continue
        if _UNITS[key] != figure.unit and key not in ("time", "cost"):
            printed = claim.text[figure.start : figure.end]
            name = claim.text[term.start : term.end]
            result.doubt("unit-metric", "contradicted", f"{printed}: no unit of {name}")


def _exact(claim: Statement, index: int) -> bool:
    """Tell whether a figure is one that does not stand everywhere."""
    figure = claim.figures[index]
    return not figure.word and figure.digits > 1 and not figure.is_year


def _around(match: Match) -> set[str]:
    one = match.statement
    return one.bound[match.index] | one.context | one.shared if one.cell else one.keys | one.context


def _tight(match: Match) -> set[str]:
    one = match.statement
    return one.bound[match.index] | (set() if one.cell else one.near[match.index] | one.shared)
