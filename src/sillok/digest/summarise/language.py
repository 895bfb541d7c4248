"""Target languages: their names for the prompt, and a check that a text is in one."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_NAMES = {
    "ko": ("Korean", "한국어"), "en": ("English",), "ja": ("Japanese", "日本語"), "zh": ("Chinese", "中文"),
    "de": ("German", "Deutsch"), "fr": ("French", "Français"), "es": ("Spanish", "Español"),
    "pt": ("Portuguese", "Português"), "it": ("Italian", "Italiano"), "nl": ("Dutch", "Nederlands"),
    "pl": ("Polish", "Polski"), "tr": ("Turkish", "Türkçe"), "vi": ("Vietnamese", "Tiếng Việt"),
    "id": ("Indonesian", "Bahasa Indonesia"), "ru": ("Russian", "Русский"), "uk": ("Ukrainian", "Українська"),
    "el": ("Greek", "Ελληνικά"), "ar": ("Arabic", "العربية"), "he": ("Hebrew", "עברית"),
    "hi": ("Hindi", "हिन्दी"), "th": ("Thai", "ไทย"),
}  # fmt: skip

# The script that must appear, and the least share of it among letters: digests are full of Latin terms.
_SCRIPTS = {
    "ko": ("[\uac00-\ud7a3]", 0.3),
    "ja": ("[\u3040-\u30ff]", 0.15),
    "zh": ("[\u4e00-\u9fff]", 0.3),
    "ru": ("[\u0400-\u04ff]", 0.4),
    "uk": ("[\u0400-\u04ff]", 0.4),
    "el": ("[\u0370-\u03ff]", 0.4),
    "ar": ("[\u0600-\u06ff]", 0.4),
    "he": ("[\u0590-\u05ff]", 0.4),
    "hi": ("[\u0900-\u097f]", 0.4),
    "th": ("[\u0e00-\u0e7f]", 0.4),
}
_LATIN = "[A-Za-z\u00c0-\u024f]"
_ENGLISH = re.compile(r"\b(?:the|of|and|to|is|are|that|with|for|we|in|which|by|on|from|as|it|than)\b", re.I)


class Language(NamedTuple):
    """A target language: its primary subtag ("" where it is not known), the tag or name given, its name."""

    code: str
    tag: str
    name: str


def language_of(given: str) -> Language:
    """Return the language that a BCP-47 tag ("ko", "pt-BR") or a name ("Korean", "한국어") names.

    A language that is not in Sillok's list is asked of the model by the name given, and not checked.

    Raises:
        TypeError: no str.
        ValueError: no tag and no name.
    """
    if not isinstance(given, str):
        raise TypeError(f"language: {given!r} is {type(given).__name__}; a str such as 'ko' is accepted")
    tag = given.strip()
    letters = all(char.isalnum() or unicodedata.category(char)[0] == "M" or char in " -" for char in tag)
    if not (2 <= len(tag) <= 40 and tag[0].isalpha() and letters):
        raise ValueError(
            f"language: {given!r} is no tag such as 'ko' or 'pt-BR', nor a name such as 'Korean'"
        )
    for code, names in _NAMES.items():
        if tag.casefold() in (name.casefold() for name in names):
            return Language(code, code, names[0])
    code = tag.lower().split("-")[0]
    if code in _NAMES:
        name = _NAMES[code][0]
        return Language(code, tag, name if tag.lower() == code else f"{name} ({tag})")
    return Language("", tag, tag)


def in_language(text: str, language: Language) -> bool:
    """Tell whether a text can be in a language, by the share of its script among the letters.

    Languages in Latin script are told from English by English function words alone: German in place of French
    is not noticed. Texts of fewer than twenty letters, and languages that are not known, always pass.
    """
    letters = [char for char in text if char.isalpha()]
    if len(letters) < 20 or not language.code:
        return True
    joined = "".join(letters)
    if language.code in _SCRIPTS:
        pattern, least = _SCRIPTS[language.code]
        share = len(re.findall(pattern, joined)) / len(letters)
        if language.code == "zh" and len(re.findall("[\u3040-\u30ff]", joined)) > 0.05 * len(letters):
            return False
        return share >= least
    if len(re.findall(_LATIN, joined)) < 0.8 * len(letters):
        return False
    words = re.findall(r"\b[^\W\d_]+\b", text)
    english = len(_ENGLISH.findall(text)) / max(len(words), 1)
    if language.code == "en":
        return len(words) < 30 or english >= 0.06
    return len(words) < 12 or english < 0.15
