"""Rules of the checker one by one, on a small paper: columns, sides, settings, names with figures in them."""

from __future__ import annotations

import pytest

from sillok.digest.check import check_text
from sillok.digest.check.comparisons import directions
from sillok.digest.check.figures import figures
from sillok.digest.check.statements import statement
from sillok.digest.check.terms import terms
from sillok.digest.text import PaperText, Passage

PAPER = PaperText(
    "2901.00097",
    None,
    (
        Passage("title", "", "Tern: Tracking at Sea"),
        Passage("abstract", "", "Tern has 8B parameters and needs 23.4 kJ. Gull 2 7B needs 61.2 kJ."),
        Passage(
            "paragraph", "1", "We track birds with Tern. As in Gull 2 7B, one second of video is one step."
        ),
        Passage("caption", "2", "Table 1: Results on SkySet. Loss: lower is better."),
        Passage(
            "table",
            "2",
            "Method | Precision (%) | Recall (%) | SkySet loss | Seconds per step\n"
            "Gull | 61.5 | 48.3 | 0.412 | 142\nTern | 71.5 | 52.9 | 0.377 | 96",
        ),
        Passage("caption", "3", "Table 2: Ablations (precision in %)."),
        Passage("table", "3", "Steps | Precision\nFull | 71.5\n8 | 66.4\n16 | 68.8"),
        Passage("paragraph", "3", "With rank 64 both lose: Tern drops to 69.9% and Gull to 60.2%."),
        Passage("paragraph", "3", "Gull is 2.8 points worse in rain but 3 times faster than Tern."),
        Passage("paragraph", "4", "We used 1,740 clips filmed between 2016 and 2024."),
    ),
    "text",
)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Tern has a recall of 52.9%.", "supported"),
        ("Tern has a recall of 71.5%.", "contradicted"),  # another column of the row
        ("Tern의 재현율은 71.5%입니다.", "contradicted"),
        ("Tern needs 23.4kJ.", "supported"),  # no name
        ("Gull 2 7B와 달리 Tern은 23.4kJ가 필요합니다.", "supported"),  # "2" and "7B" are part of the name
        ("Gull 5 9B와 달리 Tern은 23.4kJ가 필요합니다.", "not found"),  # another version
        ("Tern outperforms Gull, 71.5% vs. 61.5% precision.", "supported"),
        ("Tern beats Gull (71.5% versus 61.5%).", "supported"),
        ("Tern beats Gull (61.5% versus 71.5%).", "contradicted"),
        ("A step takes 96 seconds, faster than the 142 seconds of Gull.", "supported"),
        ("A step takes 96 seconds, slower than the 142 seconds of Gull.", "contradicted"),
        ("랭크를 64로 높이면 Tern은 69.9%로 하락합니다.", "supported"),  # what is raised is a setting
        ("With 8 steps precision drops to 66.4%.", "supported"),
        ("With 8 steps precision rises to 66.4%.", "contradicted"),  # the full model has 71.5
        ("비디오 1초가 한 스텝입니다.", "supported"),
        ("The loss rises from 0.377 to 0.377.", "contradicted"),
        ("The paper uses 1,740 clips.", "supported"),
        ("The paper uses 1,940 clips.", "contradicted"),
        ("The paper shows 1,940 boats.", "not found"),  # neither clips nor a year contradict boats
    ],
)
def test_rules(text: str, verdict: str) -> None:
    (found,) = check_text(text, PAPER)
    assert found.verdict == verdict, found.reasons


def test_words_of_comparison_begin_a_word() -> None:
    assert not directions("토큰 경계의 차이점을 봅니다.")
    assert [d.size for d in directions("더 큰 모델")] == [1]
    assert not directions("This leads to harmful answers and a higher-order win rate"[:38])
    assert [d.good for d in directions("it is more accurate")] == [1]


def test_units_are_no_names_and_when_is_no_day() -> None:
    assert not [t for t in terms("23.4kJ에서 5.2mW로") if t.kind == "name"]
    assert [f.unit for f in figures("512K일 때 3일 동안")] == ["", "s"]
    assert not figures("99번째 백분위")


def test_the_second_figure_of_a_contrast_is_nobodys() -> None:
    one = statement("RegA is better, with 28.9 against 28.5.")
    assert one.open == {1} and "rega" not in one.bound[1] | one.near[1]
