"""Summaries without a model: the paper's own sentences, chosen by a score that is written down here.

A sentence's score for a section is the number of that section's cues in it, plus where it stands:

| section | cues | stands in |
| --- | --- | --- |
| What's New | "we propose", "introduce", "novel", "first", "this paper" | abstract +1.5, introduction +0.5 |
| Technical Details | "consists of", "trained", "loss", "layer", "architecture", ... | abstract +0.5, method +1 |
| Performance Highlights | figures with units, "outperforms", "state of the art" | abstract +1, results +0.5 |

Sentences under 25 or over 420 characters, or with a question mark, count for nothing. The best two of each
section (three of the technical details) are given in the paper's order; none is given twice. What is new is
chosen first, then the highlights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sillok.digest.check.sentences import sentences
from sillok.digest.summarise.budget import is_appendix
from sillok.digest.summarise.clean import clean_section
from sillok.digest.summarise.summary import SECTIONS
from sillok.digest.text import PaperText

_CUES = (
    re.compile(
        r"\bwe (?:propose|present|introduce|develop|show that|study|describe)|\bthis (?:paper|work)|\bnovel\b"
        r"|\bnew\b|\bfirst\b|\bour (?:method|approach|framework|model)|\bcalled\b|논문|제안|새로운",
        re.I,
    ),
    re.compile(
        r"\bconsists? of|\btrain(?:ed|ing)\b|\bloss\b|\blayers?\b|\barchitecture|\bencoder|\bdecoder|\bbased on"
        r"|\balgorithm|\boptimi[sz]|\busing\b|\bparameters?\b|\bcomput|\bstep\b|\battention\b|구조|학습",
        re.I,
    ),
    re.compile(
        r"\d(?:[.,]\d+)*\s*(?:%|\\%|x\b|×|times|points?|dB|ms|GB|B/|배)|\boutperform|\bfaster\b|\bimprov|\breduc"
        r"|\bstate[- ]of[- ]the[- ]art|\baccuracy|\bhigher\b|\blower\b|\bbetter\b|\bcompared (?:to|with)|향상|감소",
        re.I,
    ),
)
_PLACES = (
    ({"abstract": 1.5, "intro": 0.5}, 2),
    ({"abstract": 0.5, "method": 1.0}, 3),
    ({"abstract": 1.0, "results": 0.5}, 2),
)
_METHOD = re.compile(r"method|approach|model|architecture|framework|algorithm|design|training", re.I)
_RESULTS = re.compile(r"experiment|result|evaluation|benchmark|conclusion|discussion|ablation", re.I)


class _Sentence(NamedTuple):
    place: str
    text: str


def split(text: str) -> list[str]:
    """Return the sentences of a paragraph; abbreviations and decimals end none."""
    return [sentence.text for sentence in sentences(text)]


def extract(paper: PaperText) -> tuple[tuple[str, str], ...]:
    """Return the sections of an extractive summary: (name, Markdown text) each, at most three.

    A section for which the paper has no sentence is left out; a paper without any gives an empty tuple.
    """
    pool = list(_sentences(paper))
    taken: set[int] = set()
    texts: dict[str, str] = {}
    for part in (0, 2, 1):  # figures first: sentences with figures often tell how the method works, too
        name, cues, (places, count) = SECTIONS[part], _CUES[part], _PLACES[part]
        scores = {
            index: score
            for index, sentence in enumerate(pool)
            if index not in taken and (score := _score(sentence, cues, places)) >= 1.5
        }
        best = sorted(scores, key=lambda index: (-scores[index], index))[:count]
        if not best and part == 0:
            best = [index for index, one in enumerate(pool) if 25 <= len(one.text) <= 1000][:count]
            best = best or list(range(len(pool)))[:1]
        taken.update(best)
        text = clean_section(" ".join(pool[index].text for index in sorted(best)))
        texts[name] = text if len(text) <= 4000 else text[:4000].rsplit(" ", 1)[0] + " …"
    return tuple((name, texts[name]) for name in SECTIONS if texts[name])


def _score(sentence: _Sentence, cues: re.Pattern[str], places: dict[str, float]) -> float:
    text = sentence.text
    if not 25 <= len(text) <= 420 or "?" in text:
        return 0.0
    found = {match[0].lower() for match in cues.finditer(text)}
    return min(len(found), 3) + places.get(sentence.place, 0.0) if found else 0.0


def _sentences(paper: PaperText) -> Iterator[_Sentence]:
    seen: set[str] = set()
    for passage in paper.passages:
        if passage.kind not in ("abstract", "paragraph") or is_appendix(passage.section):
            continue
        section = passage.section
        place = (
            "abstract" if passage.kind == "abstract" or re.search("abstract", section, re.I)
            else "intro" if re.search("introduction", section, re.I)
            else "results" if _RESULTS.search(section)
            else "method" if _METHOD.search(section)
            else ""
        )  # fmt: skip
        for text in split(" ".join(passage.text.split())):
            if text not in seen:
                seen.add(text)
                yield _Sentence(place, text)
