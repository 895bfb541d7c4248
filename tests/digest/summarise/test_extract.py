"""Without a model: the paper's own sentences, word for word, and marked as such."""

from __future__ import annotations

from typing import Any

import pytest

from sillok.digest.marks import note
from sillok.digest.summarise import summarise
from sillok.digest.summarise.extract import extract, split
from sillok.digest.text import Listing, PaperText, Passage

PAPER = PaperText(
    "2412.00001",
    1,
    (
        Passage("title", "", "Arbor"),
        Passage(
            "abstract",
            "Abstract",
            "Trees are planted in many places, e.g. in parks. We propose Arbor, a new way to plant trees. "
            "Arbor is 2.1 times faster than Shrub on Forest-10 (cf. Fig. 3), i.e. it outperforms Dr. Green et al. "
            "by 4.5 points.",
        ),
        Passage(
            "paragraph", "1 Introduction", "Have you ever planted a tree, and if so how many of them? Yes."
        ),
        Passage("paragraph", "2 Method", "The architecture consists of two layers trained with one loss."),
        Passage("table", "3 Results", "Arbor | 95 % accuracy better higher improved"),
        Passage(
            "paragraph", "Appendix A", "We propose, introduce and present a novel new first method, called X."
        ),
    ),
    "html",
)


def test_sections_are_the_papers_own_sentences() -> None:
    found = dict(extract(PAPER))
    assert list(found) == ["What's New", "Technical Details", "Performance Highlights"]
    assert found["What's New"] == "We propose Arbor, a new way to plant trees."
    assert found["Technical Details"] == "The architecture consists of two layers trained with one loss."
    assert found["Performance Highlights"].startswith("Arbor is 2.1 times faster than Shrub")
    whole = " ".join(passage.text for passage in PAPER.passages)
    assert all(sentence in whole for text in found.values() for sentence in split(text))


def test_abbreviations_and_decimals_end_no_sentence() -> None:
    assert split(PAPER.abstract) == [
        "Trees are planted in many places, e.g. in parks.",
        "We propose Arbor, a new way to plant trees.",
        "Arbor is 2.1 times faster than Shrub on Forest-10 (cf. Fig. 3), i.e. it outperforms Dr. Green et al. "
        "by 4.5 points.",
    ]
    assert split("") == [] and split("no end") == ["no end"]


@pytest.mark.parametrize("language", ["ko", "en", "fr"])
def test_the_digest_says_so(language: str) -> None:
    (found,) = summarise([PAPER], language=language)
    assert found.model is None and found.notes == (note("extract", language),)
    assert found.entry().sections[-1].text == note("extract", language)
    assert found.usage.total == found.spent.total == 0


def test_a_withdrawn_paper_is_not_given_to_the_model(mock: Any, ko: dict[str, Any]) -> None:
    asked = mock(lambda p, n: ko)
    listing = Listing("2412.00001", "Arbor", withdrawn=True)
    (found,) = summarise([listing], model=asked.model, checker=None, texts={"2412.00001": PAPER})
    assert asked.prompts == [] and note("withdrawn", "ko") in found.notes


@pytest.mark.parametrize("passages", [(), (Passage("paragraph", "", "  "),)])
def test_a_paper_without_text_stays_in_the_digest(mock: Any, ko: dict[str, Any], passages: Any) -> None:
    asked = mock(lambda p, n: ko)
    empty = PaperText("2412.00001", 1, passages, "pdf", ("page 1 is scanned",))
    lines: list[str] = []
    (found,) = summarise([empty], model=asked.model, checker=None, report=lines.append)
    assert found.sections == () and found.notes == (note("no text", "ko"),)
    assert asked.prompts == [] and lines == ["2412.00001: page 1 is scanned"]


def test_a_scanned_paper_is_summarised_from_its_abstract(mock: Any, ko: dict[str, Any]) -> None:
    """Whatever `texts` gives: a reader would rather have the abstract, marked, than nothing."""
    listing = Listing("2412.00001", "Arbor", abstract="We propose Arbor, a new way to plant trees.")
    scanned = PaperText("2412.00001", 1, (), "pdf", ("page 1 is scanned",))
    asked = mock(lambda p, n: ko)
    (found,) = summarise([listing], model=asked.model, checker=None, texts={"2412.00001": scanned})
    assert found.model is not None and note("abstract", "ko") in found.notes
    assert "a new way to plant trees" in asked.prompts[0]


def test_a_paper_that_is_not_at_hand_is_its_abstract() -> None:
    listing = Listing("2412.00001", "Arbor", abstract="We propose Arbor, a new way to plant trees.")
    lines: list[str] = []
    (found,) = summarise([listing], texts={}, language="en", report=lines.append)
    assert lines == ["2412.00001: no text of this paper is at hand"]
    assert dict(found.sections)["What's New"] == listing.abstract and note("abstract", "en") in found.notes


def test_papers_of_another_kind() -> None:
    with pytest.raises(TypeError, match="papers: str given"):
        summarise(["2412.00001"])  # type: ignore[list-item]


def test_in_a_running_loop() -> None:
    """As in a notebook."""
    import asyncio

    async def cell() -> Any:
        return summarise([PAPER])

    assert len(asyncio.run(cell())) == 1
