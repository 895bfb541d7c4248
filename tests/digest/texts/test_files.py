"""Text, Markdown, and papers looked up in a folder."""

from __future__ import annotations

import pytest

import paper_samples as samples
from sillok.digest.texts import folder, parse_name, read_text_of

ID = "2411.19870"
TEXT = """A Toy Paper

Abstract
It is 5 % better than the exam-
ple of others.

1 Introduction
Toy nets are small.

Table 1: Scores in percent
Model   MMLU   GSM8K
Toy     71.2   64.0

1.1 Data
We use WikiText-
103 for it.
\f
References
[1] Gone.

A Proofs
Trivial.
"""
MARKDOWN = """# A Toy Paper

## Abstract

It is **5 %** better, with $x=2$.

## 1 Introduction

Toy nets are [small](https://example.org).

### 1.1 Data

Figure 1: Sizes.

| Model | MMLU |
| --- | --- |
| Toy | 71.2 |

## References

- Gone.

## Appendix A

Trivial.
"""


def shown(paper):
    return [(passage.kind, passage.section, passage.text) for passage in paper.passages]


def test_text():
    paper = read_text_of(TEXT.encode(), id=ID)
    assert shown(paper) == [
        ("title", "", "A Toy Paper"),
        ("abstract", "", "It is 5 % better than the example of others."),
        ("paragraph", "1 Introduction", "Toy nets are small."),
        ("caption", "1 Introduction", "Table 1: Scores in percent"),
        ("table", "1 Introduction", "Model | MMLU | GSM8K\nToy | 71.2 | 64.0"),
        ("paragraph", "1 Introduction / 1.1 Data", "We use WikiText- 103 for it."),
        ("paragraph", "A Proofs", "Trivial."),
    ]
    assert [passage.page for passage in paper.passages][-2:] == [1, 2]


def test_markdown():
    paper = read_text_of(MARKDOWN.encode(), id=ID, kind="md")
    assert shown(paper) == [
        ("title", "", "A Toy Paper"),
        ("abstract", "", "It is 5 % better, with x=2."),
        ("paragraph", "1 Introduction", "Toy nets are small."),
        ("caption", "1 Introduction / 1.1 Data", "Figure 1: Sizes."),
        ("table", "1 Introduction / 1.1 Data", "Model | MMLU\nToy | 71.2"),
        ("paragraph", "Appendix A", "Trivial."),
    ]


def test_other_encodings():
    assert read_text_of("우리는 5 % 낫다.".encode("utf-16"), id=ID).passages[0].text == "우리는 5 % 낫다."
    latin = read_text_of("Gödel's example.".encode("latin-1"), id=ID)
    assert (latin.passages[0].text, latin.warnings) == (
        "Gödel's example.",
        ("the text is not UTF-8 and was read as Latin-1",),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2411.19870", ("2411.19870", None)),
        ("2411.19870v12", ("2411.19870", 12)),
        ("cs_0112017", ("cs/0112017", None)),
        ("hep-th-9901001v2", ("hep-th/9901001", 2)),
        ("math.AG_0112017", ("math.AG/0112017", None)),
        ("notes", None),
        ("v2", None),
    ],
)
def test_names(name, expected):
    assert parse_name(name) == expected


def test_a_folder_finds_papers_by_id_version_and_form(tmp_path):
    (tmp_path / "2411.19870v1.txt").write_text("The first version.")
    (tmp_path / "2411.19870v2.pdf").write_bytes(samples.two_columns())
    (tmp_path / "2411.19870v2.html").write_bytes(samples.html(version=2))
    (tmp_path / "cs_0112017.md").write_text("An old one.")
    (tmp_path / "notes.txt").write_text("no paper")
    (tmp_path / "2410.00001.txt").mkdir()
    papers = folder(tmp_path)
    assert list(papers) == ["2411.19870", "cs/0112017"]
    assert len(papers) == 2
    assert (papers[ID].version, papers[ID].source) == (2, "html")
    assert papers[f"{ID}v1"].passages[0].text == "The first version."
    assert papers["cs/0112017"].id == "cs/0112017"
    assert "cs/0112017v3" in papers  # a file without version serves for each
    assert f"{ID}v9" not in papers
    assert papers.get("2501.00001") is None
    with pytest.raises(ValueError, match="is no folder"):
        folder(tmp_path / "missing")


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(TypeError, match="source: 5 is int"):
        read_text_of(5, id=ID)
    with pytest.raises(ValueError, match="kind: 'docx'"):
        read_text_of(b"x", id=ID, kind="docx")
    with pytest.raises(ValueError, match="max_pages: 0"):
        read_text_of(b"x", id=ID, max_pages=0)
    with pytest.raises(ValueError, match="no arXiv identifier"):
        read_text_of(b"x", id="nothing")
    with pytest.raises(FileNotFoundError):
        read_text_of(tmp_path / "2411.19870.pdf", id=ID)
