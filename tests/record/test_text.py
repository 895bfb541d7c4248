"""The analyser: the same terms for what is stored and for what is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sillok.record.text import MAX_TOKENS, MAX_WORD, Phrase, fold, is_paired, phrases, tokens


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("모델의 학습을", ["모델", "델의", "학습", "습을"]),
        ("이 총 파라미터", ["이", "총", "파라", "라미", "미터"]),
        ("Low-Rank LoRA를 GPT4모델", ["low", "rank", "lora", "를", "gpt4", "모델"]),
        ("arXiv:2411.19870v2", ["arxiv", "2411", "19870v2"]),
        ("Müller, Strauß & Ærø", ["muller", "strauss", "ærø"]),
        ("ＦＵＬＬ ｗｉｄｔｈ ①", ["full", "width", "1"]),
        ("\u1106\u1169\u1103\u1166\u11af", ["모델"]),  # the same word written in single letters
        ("深層学習モデル", ["深層", "層学", "学習", "習モ", "モデ", "デル"]),
        ("a_b  __  ", ["a", "b"]),
        ("!?* …", []),
        ("", []),
    ],
)
def test_terms(text: str, terms: list[str]) -> None:
    assert tokens(text) == terms


def test_a_long_text_is_cut() -> None:
    assert tokens("x" * 1000) == ["x" * MAX_WORD]
    assert len(tokens("가나 " * 20_000)) == MAX_TOKENS


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("모델", [Phrase(("모델",))]),
        ("모델의", [Phrase(("모델",))]),
        ("데이터에서의 학습률을", [Phrase(("데이", "이터")), Phrase(("학습", "습률"))]),
        ("회의", [Phrase(("회의",))]),  # two syllables: no particle is cut off
        ("LoRA를 train", [Phrase(("lora",)), Phrase(("train",), open=True)]),
        ("2411.19870", [Phrase(("2411", "19870"), open=True)]),
        ("low-rank 모델", [Phrase(("low", "rank")), Phrase(("모델",))]),
        ("총", [Phrase(("총",), open=True)]),
        ("a model a", [Phrase(("a",)), Phrase(("model",))]),
        ('NEAR( "x" AND *', [Phrase(("near",)), Phrase(("x",)), Phrase(("and",), open=True)]),
        ("...", []),
    ],
)
def test_what_is_asked(query: str, asked: list[Phrase]) -> None:
    assert phrases(query) == asked


@given(st.text())
def test_terms_hold_nothing_that_a_query_language_reads(text: str) -> None:
    for token in tokens(text) + [token for phrase in phrases(text) for token in phrase.tokens]:
        assert token and not any(mark.isspace() or (mark.isascii() and not mark.isalnum()) for mark in token)
        assert fold(token) == token
        assert len(token) <= (2 if is_paired(token) else MAX_WORD)


@given(st.text(alphabet="가나다라마바사 abc-.19\u0301É"))
def test_a_text_has_the_terms_of_its_own_words(text: str) -> None:
    stored = " " + " ".join(tokens(text)) + " "
    for phrase in phrases(text):
        assert f" {' '.join(phrase.tokens)}" in stored
