"""What a digest says about its own summaries: marks on sentences that failed their check, and notes.

A mark stands after its sentence, in brackets and with a warning sign, so that it survives reading and writing
as any other text does: "... 2.1배 빠릅니다. [⚠ 논문에서 확인되지 않음]". `unmark` takes marks out again, and
sections named `NOTE` are Sillok's words about an entry and no part of its summary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: The name of the section that says how a summary came about, where that matters.
NOTE = "Note"

#: The verdicts that are marked.
FAILED = ("not found", "contradicted")

_MARK = re.compile(r"[ \t]*\[⚠[^\[\]\n]*\]")

_WORDS: Mapping[str, Mapping[str, str]] = {
    "not found": {
        "en": "not found in the paper",
        "ko": "논문에서 확인되지 않음",
        "ja": "論文で確認できず",
        "zh": "论文中未找到",
        "de": "im Artikel nicht gefunden",
        "fr": "introuvable dans l’article",
        "es": "no se encuentra en el artículo",
    },
    "contradicted": {
        "en": "the paper says otherwise",
        "ko": "논문의 내용과 다름",
        "ja": "論文の記述と異なる",
        "zh": "与论文不符",
        "de": "der Artikel sagt anderes",
        "fr": "l’article dit autre chose",
        "es": "el artículo dice otra cosa",
    },
}

_NOTES: Mapping[str, Mapping[str, str]] = {
    "extract": {
        "en": "These are the paper's own sentences, chosen without a language model.",
        "ko": "언어 모델 없이 논문의 문장을 그대로 골라 옮긴 발췌입니다.",
    },
    "abstract": {
        "en": "Only the abstract was at hand, not the paper's full text.",
        "ko": "전문 없이 초록만 읽고 쓴 내용입니다.",
    },
    "withdrawn": {
        "en": "The authors have withdrawn this paper.",
        "ko": "저자가 철회한 논문입니다.",
    },
    "no text": {
        "en": "No text of this paper was at hand, so there is no summary.",
        "ko": "논문의 글을 구하지 못해 요약이 없습니다.",
    },
    "unchecked": {
        "en": "The sentences above were not checked against the paper.",
        "ko": "위 문장들은 논문과 대조하지 못했습니다.",
    },
    "left out": {"en": "Not all of the paper was read", "ko": "논문의 일부는 읽지 않았습니다"},
    "key": {"en": "the model's service refused the key", "ko": "모델 서비스가 키를 거부함"},
    "no key": {"en": "there is no key for the model's service", "ko": "모델 서비스의 키가 없음"},
    "timeout": {"en": "the model did not answer in time", "ko": "모델이 제때 답하지 않음"},
    "empty": {"en": "the model answered nothing", "ko": "모델의 답이 비어 있음"},
    "refusal": {"en": "the model refused", "ko": "모델이 답하기를 거부함"},
    "prose": {"en": "the model answered in another form than asked", "ko": "모델의 답이 정해진 형식이 아님"},
    "half": {"en": "the model's answer was cut short", "ko": "모델의 답이 중간에 끊김"},
    "fields": {"en": "the model's answer lacked a section", "ko": "모델의 답에 빠진 항목이 있음"},
    "language": {"en": "the model answered in another language", "ko": "모델이 다른 언어로 답함"},
    "unreachable": {"en": "the model's service could not be reached", "ko": "모델 서비스에 연결하지 못함"},
    "error": {"en": "the model could not be called", "ko": "모델을 호출하지 못함"},
}


def note(code: str, language: str) -> str:
    """Return a note's words in a language (a code such as "ko"); English where there are no others."""
    words = _NOTES[code]
    return words.get(language, words["en"])


def mark(verdict: str, language: str) -> str:
    """Return the mark of a failed verdict in a language."""
    words = _WORDS[verdict]
    return f"[⚠ {words.get(language, words['en'])}]"


def unmark(text: str) -> str:
    """Return the text without the marks."""
    return _MARK.sub("", text)


def mark_sentences(text: str, failed: Iterable[tuple[str, str]], language: str) -> str:
    """Return a section's text with a mark after each failed sentence, given as (sentence, verdict).

    A sentence that does not stand in the text word for word is quoted, with its mark, at the end.
    """
    for sentence, verdict in dict.fromkeys(failed):
        word = mark(verdict, language)
        place = _find(text, sentence)
        if place is None:
            text = f"{text} «{sentence.strip()}» {word}"
        elif not text[place:].lstrip(" \t").startswith("[⚠"):
            text = f"{text[:place]} {word}{text[place:]}"
    return text


def _find(text: str, sentence: str) -> int | None:
    """Return where a sentence ends in a text; white space and marks of emphasis may differ."""
    words = re.findall(r"[^\s*_`\\]+", unmark(sentence))
    if not words:
        return None
    match = re.search(r"[\s*_`\\]*".join(map(re.escape, words)) + r"[*_`]*", text)
    return match.end() if match else None
