"""Checking a text, an entry or a whole digest against papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sillok.digest.check.findings import Finding
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.latex import delatex
from sillok.digest.check.models import Embedder, Entailment
from sillok.digest.check.opinions import Judge, Question, chosen, refine
from sillok.digest.check.paper import Paper
from sillok.digest.check.semantics import Semantics
from sillok.digest.check.sentences import Sentence, plain, sentences
from sillok.digest.check.statements import statement
from sillok.digest.check.terms import terms
from sillok.digest.check.verdicts import judge
from sillok.digest.marks import NOTE, unmark
from sillok.digest.model import Digest, Entry
from sillok.digest.text import PaperText

Papers = Mapping[str, PaperText] | Callable[[str], PaperText | None]

#: Passages of evidence that a finding carries at most.
EVIDENCE = 3
#: Characters of a sentence beyond which it is not looked at; such a sentence is never "supported".
LONGEST = 2000
_NO_TEXT = "no text of this paper"
_NOTHING = "nothing to check here: no figure, no name, fewer than two terms"


@dataclass(slots=True)
class _Checked:
    section: str | None
    sentence: str
    line: int
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class _Work:
    """An entry or a text whose sentences were looked up."""

    id: str | None
    checked: list[_Checked]
    checker: _Checker
    text: str


def check(
    digest: Digest,
    papers: Papers,
    *,
    entailment: Entailment | None = None,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
) -> list[Finding]:
    """Check every entry of a digest; papers are looked up by arXiv identifier.

    An entry whose paper is not there, or cannot be read, is told by findings that say so. `judge` is asked once for
    the whole digest.
    """
    work: list[_Work | list[Finding]] = []
    for entry in digest.entries:
        try:
            paper = _look_up(papers, entry.id)
        except (ValueError, OSError) as error:
            work.append(_unread(entry, f"{_NO_TEXT}: {' '.join(str(error).split())}"))
            continue
        work.append(_examined(entry, paper, entailment, embedder))
    _judged([one for one in work if isinstance(one, _Work)], judge)
    return [finding for one in work for finding in (_findings(one) if isinstance(one, _Work) else one)]


def _look_up(papers: Papers, id: str | None) -> PaperText | None:
    if id is None:
        return None
    if isinstance(papers, Mapping):
        return papers.get(id)
    return papers(id)


def check_entry(
    entry: Entry,
    paper: PaperText | None,
    *,
    entailment: Entailment | None = None,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
) -> list[Finding]:
    """Check every sentence of an entry against its paper's text.

    Args:
        entry: its sections are checked; lines are those of its file.
        paper: None where there is no text: every sentence is then "not found", with that reason; so it is
            with a text without a word, as of a scanned PDF.
        entailment: (premise, hypothesis) to the probabilities of entailment, neutral, contradiction.
        embedder: texts to an array of one row each.
        judge: a language model's opinion, see `load_judge`.

    Raises:
        TypeError: something else than an entry or a paper's text.
    """
    work = _examined(entry, paper, entailment, embedder)
    if not isinstance(work, _Work):
        return work
    _judged([work], judge)
    return _findings(work)


def _examined(
    entry: Entry, paper: PaperText | None, entailment: Entailment | None, embedder: Embedder | None
) -> _Work | list[Finding]:
    """Check an entry by its words and figures; findings where there is nothing to check, or nothing to check it by."""
    if not isinstance(entry, Entry):
        raise TypeError(f"entry: {type(entry).__name__} given; an Entry is accepted")
    if paper is None or (isinstance(paper, PaperText) and not paper.passages):
        return _unread(entry, _NO_TEXT)
    checker = _Checker(paper, entailment, embedder)
    checked = [
        _Checked(name, piece.text, line, checker.judge(piece.text)) for name, line, piece in _pieces(entry)
    ]
    if not checked:
        return [
            Finding(entry.id, None, "", "not found", reasons=("the entry has no summary",), line=entry.line)
        ]
    text = "\n".join(section.text for section in entry.sections)
    return _Work(entry.id, checked, checker, text)


def check_text(
    text: str,
    paper: PaperText,
    *,
    section: str | None = None,
    language: str | None = None,
    entailment: Entailment | None = None,
    embedder: Embedder | None = None,
    judge: Judge | None = None,
) -> list[Finding]:
    """Check every sentence of a text against a paper; lines count from 1 within the text.

    Args:
        section: the name that findings carry.
        language: "ko" or "en" as a BCP-47 tag; told by the script of each sentence where it is None.

    Raises:
        TypeError: `text` is no string, or `paper` no PaperText.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: {type(text).__name__} given; a string is accepted")
    checker = _Checker(paper, entailment, embedder)
    korean = None if language is None else language.casefold().split("-")[0] in ("ko", "kor", "korean")
    checked = [
        _Checked(section, piece.text, 1 + text.count("\n", 0, piece.start), checker.judge(piece.text, korean))
        for piece in sentences(text)
    ]
    work = _Work(paper.id, checked, checker, text)
    _judged([work], judge)
    return _findings(work)


@lru_cache(maxsize=4)
def _prepared(paper: PaperText) -> Paper:
    return Paper(paper)


class _Checker:
    """A paper made ready, with the models that the user named."""

    def __init__(self, paper: PaperText, entailment: Entailment | None, embedder: Embedder | None) -> None:
        if not isinstance(paper, PaperText):
            raise TypeError(f"paper: {type(paper).__name__} given; a PaperText is accepted")
        self.paper = _prepared(paper)
        self.semantics = Semantics(self.paper, embedder, entailment) if embedder or entailment else None

    def judge(self, sentence: str, korean: bool | None = None) -> Judgement:
        """Judge one sentence; models are asked after the figures and names."""
        text = delatex(plain(sentence))
        result = judge(statement(text[:LONGEST], korean, self.paper.called), self.paper)
        if len(text) > LONGEST:
            result.fail("not found", f"only the first {LONGEST:,} characters of this sentence were looked at")
            return result
        if self.semantics is not None:
            self.semantics.refine(text, result)
        return result


def _pieces(entry: Entry) -> Iterator[tuple[str | None, int, Sentence]]:
    """Yield each sentence of an entry with its section and line; Sillok's own notes are no part of a summary."""
    for section in entry.sections:
        if section.name == NOTE:
            continue
        text = unmark(section.text)  # marks have no line breaks
        for piece in sentences(text):
            line = section.line + text.count("\n", 0, piece.start) if section.line else 0
            yield section.name, line, piece


def _unread(entry: Entry, reason: str) -> list[Finding]:
    """Findings of an entry whose paper has no text: none of its sentences is left out."""
    pieces = list(_pieces(entry))
    if not pieces:
        return [Finding(entry.id, None, "", "not found", reasons=(reason,), line=entry.line)]
    return [
        Finding(entry.id, name, piece.text, "not found", reasons=(reason,), line=line)
        for name, line, piece in pieces
    ]


def _judged(work: Sequence[_Work], judge: Judge | None) -> None:
    """Ask a language model about all sentences that hold something to check, and bring its opinions in."""
    if judge is None or not work:
        return
    told = [[one for one in part.checked if not one.judgement.empty] for part in work]
    questions = [
        Question(
            _name(part.checker.paper.text),
            chosen([one.judgement.passages for one in ones], part.checker.paper.text),
            tuple(delatex(plain(one.sentence))[:LONGEST] for one in ones),
        )
        for part, ones in zip(work, told, strict=True)
    ]
    for part, ones, opinions in zip(work, told, judge(questions), strict=True):
        for one, opinion in zip(ones, opinions, strict=True):
            refine(one.sentence, one.judgement, opinion, part.checker.paper.text)


def _name(paper: PaperText) -> str:
    return paper.id + (f"v{paper.version}" if paper.version else "")


def _findings(work: _Work) -> list[Finding]:
    """Turn judgements into findings; what holds nothing to check goes with the rest of its entry."""
    id, checked, checker, text = work.id, work.checked, work.checker, work.text
    told = [one for one in checked if not one.judgement.empty]
    borne = sum(one.judgement.verdict == "supported" for one in told)
    passages = checker.paper.text.passages
    foreign = _foreign(told, borne, checker.paper, text) if len(checked) > 1 else ""
    thin = checker.paper.text.source == "abstract"
    found = []
    for one in checked:
        result = one.judgement
        verdict, reasons = result.verdict, list(result.reasons)
        if result.empty:
            # It claims nothing that could be wrong, so it is no alarm of its own: it passes, without evidence, and
            # falls only where most of the sentences around it do.
            verdict = "supported" if 2 * borne >= len(told) and not foreign and passages else "not found"
            reasons.append(_NOTHING)
        if foreign and verdict != "supported":
            reasons.append(foreign)
        if thin and verdict == "not found":
            reasons.append("only the paper's abstract is at hand")
        cited = () if result.empty else tuple(passages[n] for n in result.passages[:EVIDENCE])
        found.append(
            Finding(id, one.section, one.sentence, verdict, cited, tuple(dict.fromkeys(reasons)), one.line)
        )
    return found


def _foreign(told: list[_Checked], borne: int, paper: Paper, text: str) -> str:
    """Say so where a summary seems to be of another paper: hardly a sentence is borne out, nor the title met."""
    if not told or 3 * borne > len(told):
        return ""
    title = {t.key for t in terms(paper.text.title or "") if t.kind != "word"}
    said = {t.key for t in terms(plain(text))}
    if paper.own & said or (title and 2 * len(title & said) > len(title)):
        return ""
    return f"the text seems to describe another paper: {borne} of {len(told)} sentences are borne out"
