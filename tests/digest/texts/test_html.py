"""Papers in HTML: LaTeXML's form, plain pages, and what is no paper."""

from __future__ import annotations

import pytest

import paper_samples as samples
from sillok.digest.texts import read_text_of

ID = "2411.19870"


def read(body: str | bytes):
    return read_text_of(body.encode() if isinstance(body, str) else body, id=ID, kind="html")


@pytest.fixture(scope="module")
def paper():
    return read(samples.html(version=3, filler="Filler."))


def of(paper, kind):
    return [(passage.section, passage.text) for passage in paper.passages if passage.kind == kind]


def test_title_abstract_and_version(paper):
    assert paper.title == samples.TITLE
    assert paper.abstract == r"Toy nets are 2.1\times faster than the baseline."
    assert (paper.id, paper.version, paper.source) == (ID, 3, "html")
    assert [passage.kind for passage in paper.passages][:2] == ["title", "abstract"]


def test_paragraphs_stand_under_their_headings(paper):
    assert of(paper, "paragraph") == [
        ("1 Introduction", "We build on attention [7] maps over 10^5 words."),
        ("1 Introduction", "y=Wx+b (1)"),
        ("1 Introduction", "A first contribution."),
        ("2 Experiments / 2.1 Scores", "Filler."),
        ("Appendix A Proofs", "The proof is short."),
    ]


def test_captions_tables_and_footnotes_are_kept_apart(paper):
    assert of(paper, "caption") == [
        ("2 Experiments / 2.1 Scores", "Table 1: Accuracy in percent."),
        ("2 Experiments / 2.1 Scores", "Figure 1: Loss over steps."),
    ]
    ((section, table),) = of(paper, "table")
    assert section == "2 Experiments / 2.1 Scores"
    assert table.split("\n") == [
        "Model | MMLU | MMLU",
        "Model | 0-shot | 5-shot",
        "Toy-7B | 71.2 | 73.9",
        "Base-7B | 69.9 | 70.0",
    ]
    assert of(paper, "footnote") == [("", "Funded by nobody."), ("1 Introduction", "Code will be released.")]


def test_references_navigation_and_scripts_are_dropped(paper):
    text = paper.to_json()
    for gone in (
        "99.9",
        "tracking",
        "Back to abstract",
        "conversions sometimes",
        "LaTeXML",
        "axis label",
        "\\\\foo",
        "Ann",
    ):
        assert gone not in text
    assert paper.warnings == ("the conversion to HTML left a place that it could not read",)


def test_a_file_of_another_paper_is_named():
    paper = read(samples.html(id="2410.00001", version=9))
    assert paper.version is None
    assert "the file says that it is arXiv:2410.00001, not 2411.19870" in paper.warnings


def test_plain_html():
    paper = read(
        """<html><head><title>Not this</title></head><body><h1>A Plain Paper</h1><h2>Abstract</h2><p>Short.</p>
        <h2>1 Methods</h2><p>We use it<sup><a href="#fn1">1</a></sup> <b>bold</b>ly<br>at 10<sup>-3</sup>.</p>loose
        <h3>1.1 Data</h3><pre>x = 1</pre><table><caption>Table 1. Sizes</caption><tr><th>Name<th>Size
        <tr><td>a<td>5 GB</table><h2>References</h2><p>Gone</p><h3>More of them</h3><p>Gone</p>
        <h2>Appendix</h2><dl><dt>Term</dt><dd>What it is</dd></dl>
        <section class="footnotes"><ol><li id="fn1"><p>A note. <a href="#">↩</a></p></ol></section></body></html>"""
    )
    assert [(p.kind, p.section, p.text) for p in paper.passages] == [
        ("title", "", "A Plain Paper"),
        ("abstract", "", "Short."),
        ("paragraph", "1 Methods", "We use it boldly at 10^-3."),
        ("paragraph", "1 Methods", "loose"),
        ("paragraph", "1 Methods / 1.1 Data", "x = 1"),
        ("caption", "1 Methods / 1.1 Data", "Table 1. Sizes"),
        ("table", "1 Methods / 1.1 Data", "Name | Size\na | 5 GB"),
        ("paragraph", "Appendix", "Term"),
        ("paragraph", "Appendix", "What it is"),
        ("footnote", "Appendix", "A note."),
    ]


def test_mathematics_without_alttext_and_katex_are_taken_once():
    paper = read(
        "<article><p>Rate <math><semantics><mi>x</mi><annotation encoding='application/x-tex'>x^2</annotation>"
        "</semantics></math> and <span class='katex'><span class='katex-mathml'><math><semantics><mi>y</mi>"
        "<annotation encoding='application/x-tex'>y_1</annotation></semantics></math></span>"
        "<span class='katex-html'>y1</span></span>.</p></article>"
    )
    assert [passage.text for passage in paper.passages] == ["Rate x^2 and y_1."]


def test_tables_of_spans_and_tables_inside_tables():
    paper = read(
        "<article class='ltx_document'><p class='ltx_p'>Before <span class='ltx_tabular'><span class='ltx_tr'>"
        "<span class='ltx_td'>a</span><span class='ltx_td'><table><tr><td>in</td><td>ner</td></table></span></span>"
        "<span class='ltx_tr'><span class='ltx_td'>b | c</span><span class='ltx_td'>2</span></span></span>"
        " after</p></article>"
    )
    assert [(p.kind, p.text) for p in paper.passages] == [
        ("paragraph", "Before"),
        ("table", "a | in ner\nb ¦ c | 2"),
        ("paragraph", "after"),
    ]


def test_hostile_spans_do_not_fill_the_memory():
    row = "<tr><td colspan=1000000000 rowspan=1000000000>a</td><td>b</td></tr>"
    (table,) = read(f"<table>{row * 3}</table>").passages
    assert len(table.text) < 5000


def test_old_encodings_and_empty_pages():
    assert read("<html><meta charset='latin-1'><p>Gödel</p>".encode("latin-1")).passages[0].text == "Gödel"
    assert read("<html><body></body></html>").warnings == ("the file has no text",)


def test_deep_nesting_is_one_line():
    with pytest.raises(ValueError, match="nested too deeply"):
        read("<div>" * 20000 + "deep" + "</div>" * 20000)


def test_marks_of_notes_in_cells_are_no_part_of_names():
    paper = read(
        "<h1>T</h1><p>See m<sup>a</sup>.</p><table><tr><th>Method<th>F1<sup>†</sup>"
        "<tr><td>Gull<sup>a</sup><td>83.7<sup>b, *</sup>"
        "<tr><td>Tern<td>10<sup>-3</sup></table>"
    )
    assert of(paper, "table") == [("", "Method | F1\nGull | 83.7\nTern | 10^-3")]
    assert of(paper, "paragraph") == [("", "See ma.")]
