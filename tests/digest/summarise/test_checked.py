"""The check: what fails goes back with its evidence, twice at most, and what still fails is marked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from sillok import digest
from sillok.digest import Digest, Entry
from sillok.digest.check import check_entry, load_judge
from sillok.digest.marks import mark, mark_sentences, unmark
from sillok.digest.summarise import SECTIONS, Summary, dump, load, summarise
from sillok.digest.summarise.extract import split
from sillok.digest.text import PaperText, Passage


@dataclass(frozen=True)
class Finding:
    """As `sillok.digest.check` returns them."""

    id: str
    section: str
    sentence: str
    verdict: str
    evidence: tuple[Passage, ...] = ()
    reasons: tuple[str, ...] = ()


def checker(entry: Entry, paper: PaperText) -> list[Finding]:
    """A small real check: every figure of a sentence must stand in the paper's text."""
    import re

    text = " ".join(passage.text for passage in paper.passages)
    found = []
    for section in entry.sections:
        for sentence in split(section.text):
            wrong = [
                f
                for f in re.findall(r"\d+(?:\.\d+)?", sentence)
                if f not in re.findall(r"\d+(?:\.\d+)?", text)
            ]
            verdict = "contradicted" if wrong else "supported"
            reasons = tuple(f"{figure}: the paper has no such figure" for figure in wrong)
            passage = Passage("abstract", "Abstract", "it is 2.1 times faster")
            found.append(
                Finding(
                    str(entry.id), section.name or "", sentence, verdict, (passage,) if wrong else (), reasons
                )
            )
    return found


def with_figure(answer: dict[str, Any], figure: str) -> dict[str, Any]:
    return {**answer, "performance_highlights": answer["performance_highlights"].replace("2.1", figure)}


def test_a_failed_sentence_is_mended_with_the_evidence(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    asked = mock(lambda prompt, n: with_figure(ko, "9.9") if n == 1 else ko)
    (found,) = summarise([paper()], model=asked.model, checker=checker)
    assert len(asked.prompts) == 2
    assert "9.9: the paper has no such figure" in asked.prompts[1]
    assert "(Abstract) it is 2.1 times faster" in asked.prompts[1]
    assert not found.flagged and len(found.findings) == 5
    assert "2.1배" in dict(found.sections)["Performance Highlights"]
    assert found.usage.calls == 2


@pytest.mark.parametrize(
    ("language", "word"), [("ko", "논문의 내용과 다름"), ("en", "the paper says otherwise")]
)
def test_what_still_fails_is_marked_and_kept(
    mock: Any, paper: Any, ko: dict[str, Any], en: dict[str, Any], language: str, word: str
) -> None:
    answer = with_figure(ko if language == "ko" else en, "9.9")
    asked = mock(lambda prompt, n: answer)
    (found,) = summarise([paper()], model=asked.model, checker=checker, language=language)
    assert len(asked.prompts) == 3  # the draft, and twice back to the writer
    text = dict(found.sections)["Performance Highlights"]
    assert (
        text
        == f"{split(answer['performance_highlights'])[0]} [⚠ {word}] {split(answer['performance_highlights'])[1]}"
    )
    assert [one.sentence for one in found.flagged] == [split(answer["performance_highlights"])[0]]
    assert found.flagged[0].evidence[0]["text"] == "it is 2.1 times faster"
    written = digest.write(Digest(None, (found.entry(),)))
    read = digest.read_text(written)
    assert isinstance(read, Digest)
    assert f"[⚠ {word}]" in read.entries[0].sections[2].text
    assert unmark(read.entries[0].sections[2].text) == answer["performance_highlights"]


def test_the_version_with_the_fewest_failures_is_kept(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    worse = {**with_figure(ko, "9.9"), "technical_details": "이 방법은 77개의 단계로 이루어져 있습니다."}
    answers = [with_figure(ko, "9.9"), worse, worse]
    (found,) = summarise([paper()], model=mock(lambda p, n: answers[n - 1]).model, checker=checker)
    assert len(found.flagged) == 1
    assert "두 단계로 이루어집니다." in dict(found.sections)["Technical Details"]


def test_a_writer_that_answers_prose_to_the_check_costs_no_summary(
    mock: Any, paper: Any, ko: dict[str, Any]
) -> None:
    lines: list[str] = []
    asked = mock(lambda prompt, n: with_figure(ko, "9.9") if n == 1 else "No.")
    (found,) = summarise([paper()], model=asked.model, checker=checker, report=lines.append)
    assert found.model is not None and len(found.flagged) == 1
    assert lines == [
        "2412.00001: not mended (mockllm/model: 3 answers of no use (the last: it was prose instead of JSON)); "
        "what failed is marked"
    ]


def test_a_checker_that_fails_is_said_in_the_digest(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    def broken(entry: Entry, text: PaperText) -> list[Any]:
        raise RuntimeError("broken")

    (found,) = summarise([paper()], model=mock(lambda p, n: ko).model, checker=broken)
    assert found.notes == ("위 문장들은 논문과 대조하지 못했습니다.",)
    assert found.model is not None


def test_a_finding_of_an_unknown_section_is_marked_all_the_same(
    mock: Any, paper: Any, ko: dict[str, Any]
) -> None:
    sentence = split(ko["performance_highlights"])[1]

    def lost(entry: Entry, text: PaperText) -> list[Any]:
        return [
            Finding("2412.00001", "", sentence, "not found"),
            Finding("2412.00001", "X", "없는 문장", "not found"),
        ]

    (found,) = summarise([paper()], model=mock(lambda p, n: ko).model, checker=lost)
    text = found.sections[-1][1]
    assert f"{sentence} {mark('not found', 'ko')}" in text
    assert f"«없는 문장» {mark('not found', 'ko')}" in text


def test_marks_find_their_sentences_whatever_the_emphasis() -> None:
    text = "**Arbor** is  2.1 times\nfaster. It needs 3 GB."
    marked = mark_sentences(text, [("Arbor is 2.1 times faster.", "not found")], "en")
    assert marked == "**Arbor** is  2.1 times\nfaster. [⚠ not found in the paper] It needs 3 GB."
    assert mark_sentences(marked, [("Arbor is 2.1 times faster.", "not found")], "en") == marked
    assert unmark(marked) == text


def test_an_english_term_stands_once_in_korean(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    (found,) = summarise([paper()], model=mock(lambda p, n: ko).model, checker=None)
    whole = " ".join(text for _, text in found.sections)
    assert whole.count("표집(root sampling)") == 1 and whole.count("뿌리 표집") == 2
    assert "잎 정렬(leaf alignment)" in whole


def test_summaries_survive_their_json(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    asked = mock(lambda prompt, n: with_figure(ko, "9.9"))
    found = summarise([paper()], model=asked.model, checker=checker)
    text = dump(None, found)
    assert load(text) == (None, found)
    assert dump(None, load(text)[1]) == text
    with pytest.raises(ValueError, match="x.json: no summaries in JSON"):
        load('{"papers": [{}]}', name="x.json")


def test_the_entry_has_the_usual_sections(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    (found,) = summarise([paper()], model=mock(lambda p, n: ko).model, checker=checker)
    assert isinstance(found, Summary)
    assert tuple(section.name for section in found.entry().sections) == SECTIONS
    assert found.entry().id == "2412.00001"


def test_a_language_model_checks_too(mock, paper, en):
    quote = "Arbor consists of root sampling and leaf alignment, with one loss."
    told = {"sentence": 2, "verdict": "contradicted", "quotes": [quote], "why": "told otherwise"}
    judge = load_judge(mock(lambda prompt, count: {"judgements": [told]}).model)
    writer = mock(lambda prompt, count: en)
    checked = partial(check_entry, judge=judge)
    (found,) = summarise([paper()], model=writer.model, language="en", checker=checked)
    assert "a language model: told otherwise" in [reason for one in found.flagged for reason in one.reasons]
    assert "told otherwise" in writer.prompts[1]  # it goes back to the writer with that reason
    assert judge.spent.calls == 3 and judge.spent.total == 330  # of the draft, and of both mended ones
