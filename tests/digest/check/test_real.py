"""What whole real papers have and invented ones had not: LaTeX, parts of tables, lists of sizes, shares, abbreviations.

The papers here are made up; each form was found in a paper as its authors wrote it.
"""

from __future__ import annotations

import pytest

from sillok.digest.check import check_text
from sillok.digest.check.figures import figures
from sillok.digest.check.latex import delatex
from sillok.digest.check.paper import Paper
from sillok.digest.check.reading import cell_of, editions, initials, parts
from sillok.digest.check.statements import statement
from sillok.digest.check.superlatives import superlatives
from sillok.digest.check.terms import key_of, sized, terms
from sillok.digest.text import PaperText, Passage
from sillok.digest.texts.passages import clean


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\(14.5\times\) at saturation", "14.5× at saturation"),
        (r"$\mathbf{\Delta}\uparrow$", "Δ↑"),
        (r"$\gamma{=}75.77$, $(\Delta\rho)^2{\approx}0.12$", "γ=75.77, (Δρ)^2~0.12"),
        (r"$\leq 5\%$ of $\mathcal{L}_{\mathrm{CE}}$", "≤ 5% of L_CE"),
        (r"$\frac{1}{2}$ of $\text{\textbf{Ours}}$", "1/2 of Ours"),
        (r"\$5, from $0.27 to $0.35", "$5, from $0.27 to $0.35"),
        (r"$537\,730$ and 1{,}000 queries", "537,730 and 1,000 queries"),
    ],
)
def test_latex_is_written_out(latex: str, text: str) -> None:
    assert delatex(latex) == text


def test_commands_are_no_names() -> None:
    read = PaperText(
        "2901.00096",
        None,
        (
            Passage(
                "table",
                "1",
                r"Method | $\Delta\uparrow$ | $\boldsymbol{\Omega}$" "\nGull | 0.4 | $\\mathbf{0.7}$",
            ),
        ),
        "text",
    )
    paper = Paper(read)
    assert {one.figures[0].value for one in paper.statements} == {0.4, 0.7}
    assert not {"delta", "uparrow", "boldsymbol", "mathbf", "omega"} & paper.placed
    assert paper.marks[0, 1] == 1


def test_thousands_in_thin_spaces() -> None:
    assert clean("14\u2009047\u202f759 documents, 3\u20095") == "14,047,759 documents, 3 5"
    assert cell_of(" 14 047 759 ") == "14,047,759"
    assert cell_of("14 047 75") == "14 047 75"


def test_enumerators_and_numbers_of_tasks_are_no_figures() -> None:
    for text in ("(1) it is fast, and (2) it is small", "하위 과제 2에서는", "in subtask 2 and track 1"):
        assert not figures(text), text
    assert [f.value for f in figures("f(2) in 5 runs")] == [2, 5]


def test_names_as_papers_write_them() -> None:
    assert key_of("ODEs") == key_of("ODE")
    assert [t.key for t in terms("It is on an RTX 5090 with Qwen3 Base")] == ["rtx5090", "qwen3base"]
    assert not [t for t in terms("we see (The) and (It)") if t.kind == "name"]
    assert set(sized("Qwen3-4B, 14B and 32B; Kite2.5-1.5B/7B-Instruct")) == {
        "Qwen3-14B",
        "Qwen3-32B",
        "Kite2.5-7B",
    }
    assert set(editions({"kite", "kite25", "gull2", "gull27b", "gull2base", "tern3", "tern4"})) == {
        ("kite", "kite25"),
        ("gull2", "gull27b"),
        ("gull2", "gull2base"),
    }


def test_abbreviations_are_what_they_stand_for() -> None:
    ((short, keys),) = initials("We cut the attack success rate (ASR) of X (YZ).")
    assert short == "asr"
    assert "~attack" in keys or "attack" in keys


TABLE = """Mathematical reasoning
Model | Cove | Reef
Gull-27B | 95.9 | 90.0
Kite3-4B-Base | 70.2 | 55.4
+ SFT | 82.3 | 72.1
+ Loom | 90.4 | 85.3
Code generation
Model | Quay | Pier
Gull-27B | 61.2 | 69.7
Kite3-4B-Base | 62.4 | 75.6
+ SFT | 65.4 | 81.6
+ Loom | 66.7 | 83.2"""


def test_parts_of_a_table() -> None:
    first, second = parts([row.split(" | ") for row in TABLE.split("\n")])
    assert first.header == ["Model", "Cove", "Reef"]
    assert second.header == ["Model", "Quay", "Pier"]
    assert first.rows[-1] == (5, ["+ Loom", "90.4", "85.3"], "Mathematical reasoning | Kite3-4B-Base")
    two = parts([["Method", "Cove", "Cove"], ["", "Acc.", "Length"], ["Ours", "9.1", "1260"]])
    assert two[0].header == ["Method", "Cove Acc.", "Cove Length"]


TIMES = """Step | Gull | Heron | Loom
encoding | 16.3 ms | 20.8 ms | 41.3 ms
decoding | 4.1 ms | 2.5 ms | 1 ms"""
READ = PaperText(
    "2901.00095",
    None,
    (
        Passage("title", "", "Loom: Reasoning in Threads"),
        Passage("abstract", "", "Loom reasons on Cove, Reef, Quay and Pier, from Kite3-4B-Base and Kite3-8B."),
        Passage("caption", "1", "Table 1: Accuracy in %."),
        Passage("table", "1", TABLE),
        Passage("paragraph", "1", "Against SFT, Loom adds +8.1% on Cove, and decoding is 14.5× faster at saturation."),
        Passage("paragraph", "2", "Gull-27B refuses 0.06 of the questions of Shoal, and Kite3-8B 0.93 of them."),
        Passage("caption", "3", "Table 2: Time of a call."),
        Passage("table", "3", TIMES),
    ),
    "text",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "supported"),
    [
        ("Starting from Kite3-4B-Base, Loom reaches 90.4% on Cove and 66.7% on Quay.", True),
        ("Starting from Kite3-4B-Base, Loom reaches 90.4% on Cove and 66.7% on Pier.", False),
        ("On Cove, Loom is 8.1 points above SFT.", True),  # where the paper writes %
        ("Gull-27B refuses only 6% of the questions of Shoal.", True),  # a share of 1
        ("Gull-27B refuses only 60% of the questions of Shoal.", False),
        ("Decoding is 14.5x faster at saturation.", True),
        ("Decoding is 14.5% faster at saturation.", False),
        ("Loom의 디코딩은 1ms로 세 방법 중 가장 빠릅니다.", True),
        ("Loom's decoding takes 1 ms, the slowest time.", False),
        ("Loom's decoding takes 1 ms, the fastest of the three.", True),
        ("Decoding takes 2.5 ms with Heron, the second fastest.", True),
    ],
)
def test_sentences_about_such_a_paper(text: str, supported: bool) -> None:
    (found,) = check_text(text, READ)
    assert (found.verdict == "supported") is supported, found.reasons


def test_superlatives_of_effects_and_second_places() -> None:
    told = {
        "the highest score": [(1, 0, 1)],
        "the second-best score": [(0, 1, 2)],
        "두 번째로 높은 점수": [],  # "가장" marks the first place only
        "the largest of the three gains": [],
        "the best prior baseline": [],
        "at least 5": [],
    }
    for text, wanted in told.items():
        assert [(one.size, one.good, one.place) for one in superlatives(text)] == wanted, text


def test_a_size_is_no_count() -> None:
    one = statement("The 8B model answers.")
    assert one.figures[0].value == 8e9
    (found,) = check_text("With Loom the 4B model gains.", READ)
    assert not any("counts" in reason for reason in found.reasons)
