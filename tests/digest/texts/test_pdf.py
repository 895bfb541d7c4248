"""Papers in PDF: columns, headings, captions, tables, references; scans, locks and damage."""

from __future__ import annotations

import pymupdf
import pytest

import paper_samples as samples
from sillok.digest.texts import read_text_of

ID = "2411.19870"


@pytest.fixture(scope="module")
def paper():
    return read_text_of(samples.two_columns(), id=ID)


def of(paper, kind):
    return [(passage.section, passage.text) for passage in paper.passages if passage.kind == kind]


def test_title_abstract_and_the_stamp_s_version(paper):
    assert paper.title == samples.TITLE
    assert paper.abstract == (
        "Toy nets are studied here, and they are 2.1 times faster than every single baseline of "
        "state-of-the-art models on all of the tasks."
    )
    assert (paper.version, paper.source, paper.warnings) == (2, "pdf", ())


def test_columns_are_read_one_after_the_other(paper):
    text = " ".join(text for _, text in of(paper, "paragraph"))
    places = [
        text.index(f"{side} of page {page} {line} and")
        for page in ("one", "two", "three")
        for side, last in (("Left", 10), ("Right", 20))
        for line in (0, last)
    ]
    assert places == sorted(places)


def test_a_paragraph_goes_on_over_column_and_page(paper):
    whole = (
        "The baseline is a state-of-the-art model, whose training is the same as ours in every respect "
        "that we know of."
    )
    assert ("1 Introduction", whole) in of(paper, "paragraph")
    assert next(p.page for p in paper.passages if p.text == whole) == 1


def test_sections_captions_and_tables(paper):
    sections = list(dict.fromkeys(passage.section for passage in paper.passages if passage.section))
    assert sections == ["1 Introduction", "2 Experiments / 2.1 Scores", "A Proofs"]
    assert of(paper, "caption") == [
        ("2 Experiments / 2.1 Scores", "Figure 1: Loss over steps, for nets of two sizes."),
        ("2 Experiments / 2.1 Scores", "Table 1: Accuracy of the models in percent."),
    ]
    assert of(paper, "table") == [
        ("2 Experiments / 2.1 Scores", "Model | MMLU | GSM8K\nToy-7B | 71.2 | 64.0\nBase-7B | 69.9 | 60.1")
    ]


def test_references_headers_page_numbers_and_names_are_dropped(paper):
    text = paper.to_json()
    for gone in ("Nobody", "Toy Nets for All", "Ann Author", "arXiv:"):
        assert gone not in text
    assert not any(passage.text in ("1", "2", "3") for passage in paper.passages)
    assert any(passage.section == "A Proofs" for passage in paper.passages)


def test_a_ruled_table_and_pages():
    paper = read_text_of(samples.one_column(10), id=ID)
    (table,) = (passage for passage in paper.passages if passage.kind == "table")
    assert (table.text, table.page) == ("Model | Acc.\nToy | 10.5\nBase | 1.5", 10)
    assert {passage.page for passage in paper.passages} == set(range(1, 11))
    assert paper.passages[-2].section == "4 Section of 10"


def test_a_table_over_both_columns_stays_whole():
    document = pymupdf.open()
    page = document.new_page(width=612, height=792)
    sheet = samples.Sheet(page, (72, 318))
    sheet.line(
        "Table 3: Scores of all the models on six well known benchmarks of our own making, in percent", 9
    )
    for name in ("Model", "Toy-7B", "Base-7B", "Large"):
        sheet.row([name, *(f"{name[0]}{index}.5" for index in range(6))], 68)
    sheet.top = sheet.y = sheet.y + 20
    for text in samples.sentences("Left", 25):
        sheet.line(text)
    sheet.next_column()
    for text in samples.sentences("Right", 25):
        sheet.line(text)
    paper = read_text_of(bytes(document.tobytes()), id=ID)
    (table,) = of(paper, "table")
    assert table[1].split("\n")[1] == "Toy-7B | T0.5 | T1.5 | T2.5 | T3.5 | T4.5 | T5.5"
    assert table[1].count("\n") == 3


def test_superscripts_of_numbers_are_exponents_and_footnote_marks_go():
    document = pymupdf.open()
    page = document.new_page()
    box = pymupdf.Rect(72, 80, 540, 200)
    page.insert_htmlbox(box, "<p>We train<sup>1</sup> for 10<sup>5</sup> steps over the whole data set.</p>")
    text = read_text_of(bytes(document.tobytes()), id=ID).passages[0].text
    assert text == "We train for 10^5 steps over the whole data set."


def test_a_scanned_pdf_is_a_warning():
    paper = read_text_of(samples.scanned(3), id=ID)
    assert paper.passages == ()
    assert paper.warnings == ("pages 1-3 have no text: scanned, it seems",)


def test_900_pages_are_cut_and_said_so():
    paper = read_text_of(samples.repeated(samples.one_column(6), 150), id=ID, max_pages=5)
    assert paper.warnings == ("900 pages: pages 6 to 900 are left out",)
    assert max(passage.page or 0 for passage in paper.passages) == 5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (samples.encrypted(), "an encrypted PDF"),
        (b"%PDF-1.7\n" + b"\x00\xff garbage " * 50, "a damaged PDF|a PDF without pages"),
        (b"   \n", "an empty file"),
    ],
    ids=["encrypted", "damaged", "empty"],
)
def test_what_cannot_be_read_is_one_line(data, message, capfd):
    with pytest.raises(ValueError, match=message) as caught:
        read_text_of(data, id=ID, kind="pdf")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_truncated_pdf_is_read_as_far_as_it_goes_or_refused_in_one_line():
    data = samples.two_columns()
    for length in range(len(data) // 8, len(data), len(data) // 8):
        try:
            read_text_of(data[:length], id=ID, kind="pdf")
        except ValueError as error:
            assert "\n" not in str(error)
