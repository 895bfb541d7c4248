"""Sentences, terms, and which names stand with which figure."""

from __future__ import annotations

import pytest

from sillok.digest.check.sentences import language_of, plain, sentences
from sillok.digest.check.statements import statement
from sillok.digest.check.terms import stem, terms


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("We (Smith et al. 2020) gain 3.5 points. It is in Fig. 3 too. Next.", 3),
        ("It takes 118 ms. The other takes 21 ms.", 2),
        ("모델은 1.5배 빠릅니다. 비용도 낮다.그리고 작다.", 3),
        ("1. 첫째를 합니다. 2. 둘째를 합니다.", 2),
        ("이는 (예: A. B. C. 등) 좋습니다.", 1),
        ("- one item.\n- another item", 2),
        ("**굵은** 글씨 `v1.2` 입니다.", 1),
        ("", 0),
    ],
)
def test_division(text: str, wanted: int) -> None:
    found = sentences(text)
    assert len(found) == wanted
    for piece in found:
        assert text[piece.start :].startswith(piece.text)


def test_marks_are_removed() -> None:
    assert plain("**2.1x** [faster](https://a.b) than `B`, *much*") == "2.1x faster than B, much"
    assert language_of("주의(attention)를 가속합니다") == "ko"
    assert language_of("attention (주의)") == "en" or language_of("attention is all") == "en"


def test_terms_meet_across_languages() -> None:
    korean = {t.key for t in terms("트랜스포머의 재현율(recall)과 키-값 캐시")}
    english = {t.key for t in terms("recall of transformers with a key-value cache")}
    assert {"transformer", "recall", "kv-cache"} <= korean & english
    assert {t.key for t in terms("Long-Bench") if t.kind == "name"} == {t.key for t in terms("the LongBench")}
    assert stem("evicts") == stem("eviction") == stem("evicting")
    assert stem("primitives") == stem("primitive")


def bound(text: str) -> dict[str, set[str]]:
    one = statement(text)
    names = {t.key for t in one.terms if t.kind == "name"}
    return {text[f.start : f.end]: keys & names for f, keys in zip(one.figures, one.bound, strict=True)}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("HeavyKeep reaches 43.9, PoolSnap 45.1.", {"43.9": {"heavykeep"}, "45.1": {"poolsnap"}}),
        ("It needs 2.7 s with ANet and 9.6 s with BNet.", {"2.7 s": {"anet"}, "9.6 s": {"bnet"}}),
        ("ANet과 BNet은 각각 1.2점과 3.4점입니다.", {"1.2점": {"anet"}, "3.4점": {"bnet"}}),
        ("ANet and BNet reach 1.2 and 3.4 points, respectively.", {"1.2": {"anet"}, "3.4 points": {"bnet"}}),
        ("ANet의 34.2%로 BNet의 27.5%보다 높다", {"34.2%": {"anet"}, "27.5%": {"bnet"}}),
        ("ANet(47개)과 BNet(25개)", {"47개": {"anet"}, "25개": {"bnet"}}),
    ],
)
def test_names_go_with_their_figures(text: str, wanted: dict[str, set[str]]) -> None:
    assert bound(text) == wanted


def test_sides_of_a_comparison() -> None:
    assert statement("ANet is 2.1 times faster than BNet.").objects == {"bnet"}
    assert "bnet" in statement("ANet은 BNet보다 2.1배 빠릅니다.").objects
    assert "anet" in statement("ANet은 BNet보다 2.1배 빠릅니다.").subjects
