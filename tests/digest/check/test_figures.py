"""Figures as they are printed in English, Korean and LaTeX."""

from __future__ import annotations

import pytest

from sillok.digest.check.figures import figures, matches
from sillok.digest.check.latex import delatex
from sillok.digest.check.units import header_unit


def read(text: str) -> list[tuple[float, str]]:
    return [(round(f.value, 9), f.unit) for f in figures(delatex(text))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It is 2.1x, 2.1×, 2.1 times and $2.1\\times$ faster.", [(2.1, "x")] * 4),
        ("2.1배 빠르고 두 배 크다", [(2.1, "x"), (2.0, "x")]),
        ("by a factor of 480, 480분의 1로", [(480.0, "x"), (480.0, "x")]),
        ("exceeds it by 4.9 and 1.8 percentage points", [(4.9, "pp"), (1.8, "pp")]),
        ("4.9%p 높고 4.9% 높고 4.9점 높다", [(4.9, "pp"), (4.9, "%"), (4.9, "point")]),
        ("1억 3,000만 개에서 4,800만 개", [(130e6, ""), (48e6, "")]),
        ("4만 8,000토큰과 14억 파라미터, 3조 토큰", [(48000.0, ""), (1.4e9, ""), (3e12, "")]),
        ("7B, 128K, 3.1 million and 2 billion", [(7e9, ""), (128e3, ""), (3.1e6, ""), (2e9, "")]),
        ("12,600 of them in 16.8GB에서 3.4 GB", [(12600.0, ""), (16.8e9, "byte"), (3.4e9, "byte")]),
        ("0.3 ms, 38초, 14분, 7 hours", [(0.0003, "s"), (38.0, "s"), (840.0, "s"), (25200.0, "s")]),
        ("1979년부터 2017년까지 39년", [(1979.0, ""), (2017.0, ""), (39 * 31557600.0, "s")]),
        ("2-10초", [(2.0, "s"), (10.0, "s")]),
        ("a rate of 2e-5 and 3 × 10^4", [(2e-5, ""), (3e4, "")]),
        ("세 단계, 네 개의 벤치마크 and three stages", [(3.0, ""), (4.0, ""), (3.0, "")]),
        ("see Table 2 and Section 5", []),
        ("MRR@10", []),
    ],
)
def test_values_and_units(text: str, wanted: list[tuple[float, str]]) -> None:
    assert read(text) == wanted


@pytest.mark.parametrize(
    ("claim", "paper", "wanted"),
    [
        ("42%", "41.7%", True),  # rounded as printed
        ("42.3%", "41.7%", False),
        ("3배", "2.7배", False),  # one digit is no rounding
        ("약 3배", "2.7배", True),
        ("약 98.6%", "96.8%", False),
        ("500 ms", "0.5 s", True),
        ("more than 2 times", "2.3 times", True),
        ("more than 2 times", "1.9 times", False),
        ("over 8.5 million", "8.8 million", False),
        ("within 0.5%", "0.4%", False),
        ("38 ms", "38 s", False),
        ("2.2 points", "2.2%", False),
        ("1.9%", "1.9 percentage points", False),
        ("412 thousand", "412,300", True),
        ("1.19K", "1.19", True),
    ],
)
def test_what_bears_a_figure_out(claim: str, paper: str, wanted: bool) -> None:
    from sillok.digest.check.figures import comparable

    (one,), (two,) = figures(claim), figures(paper)
    assert (comparable(one, two) and matches(one, two)) is wanted


def test_headers_give_units_and_scales() -> None:
    assert header_unit("Latency (ms)")[0] == ("s", 1e-3)
    assert header_unit("Parameters (M)") == (None, 1e6)
    assert header_unit("Frames per second")[0] == ("fps", 1.0)
    assert header_unit("Accuracy") == (None, 1.0)
