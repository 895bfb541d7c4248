"""Reading a model's answers: the JSON in them if there is any, else what is wrong with them."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sillok.digest.marks import NOTE, unmark
from sillok.digest.summarise.clean import clean_section, once
from sillok.digest.summarise.language import Language, in_language
from sillok.digest.summarise.summary import SECTIONS

_REFUSAL = re.compile(
    r"\bI(?:'m| am)? (?:sorry|afraid)|\bI (?:can(?:'|no)t|am unable|am not able|won't|must decline)|\bas an AI\b"
    r"|죄송(?:하지만|합니다)|도와드릴 수 없|申し訳|抱歉|无法协助|ne peux pas|kann (?:ich )?nicht|no puedo",
    re.IGNORECASE,
)


class BadReply(ValueError):
    """An answer that is of no use; `code` is one of the notes' codes, the message says what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Other(BaseModel):
    """A further section."""

    model_config = ConfigDict(extra="forbid")
    name: str
    text: str


class Draft(BaseModel):
    """The summary that a model writes; every field is required, as strict structured output wants it."""

    model_config = ConfigDict(extra="forbid")
    whats_new: str = Field(min_length=1)
    technical_details: str = Field(min_length=1)
    performance_highlights: str = Field(min_length=1)
    others: list[Other]


class Notes(BaseModel):
    """The notes on a part of a paper."""

    model_config = ConfigDict(extra="forbid")
    notes: list[str] = Field(min_length=1)


class Judged(BaseModel):
    """The verdict on one sentence, with the quotations that it rests on."""

    model_config = ConfigDict(extra="forbid")
    sentence: int
    verdict: Literal["supported", "not found", "contradicted"]
    quotes: list[str]
    why: str


class Judgements(BaseModel):
    """The verdicts on the sentences of an entry."""

    model_config = ConfigDict(extra="forbid")
    judgements: list[Judged]


def read_draft(text: str, language: Language) -> tuple[tuple[str, str], ...]:
    """Return the sections of a summary that a model wrote: (name, Markdown text) each.

    Raises:
        BadReply: empty, a refusal, prose, cut short, a section missing, another language.
    """
    found = first_object(text)
    try:
        draft = Draft.model_validate(_fields(found))
    except ValidationError as error:
        missing = ", ".join(sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]}))
        raise BadReply("fields", f"the JSON lacks text for {missing or 'its fields'}") from None
    texts = [draft.whats_new, draft.technical_details, draft.performance_highlights]
    others = {
        name: other.text
        for other in draft.others
        if (name := _heading(other.name)) and name.casefold() != NOTE.casefold() and other.text.strip()
    }
    texts = once([clean_section(unmark(text)) for text in [*texts, *others.values()]])
    if not all(texts[:3]):
        raise BadReply("fields", "a section of the JSON is empty")
    if not in_language(" ".join(texts), language):
        raise BadReply("language", f"the texts are not in {language.name}")
    return tuple((name, text) for name, text in zip([*SECTIONS, *others], texts, strict=True) if text)


def read_notes(text: str) -> tuple[str, ...]:
    """Return the notes that a model took.

    Raises:
        BadReply: empty, a refusal, prose, cut short, no notes.
    """
    found = first_object(text)
    notes = found.get("notes", next((v for v in found.values() if isinstance(v, list)), None))
    lines = [" ".join(one.split()) for one in notes or () if isinstance(one, str) and one.strip()]
    if not lines:
        raise BadReply("fields", "the JSON has no notes")
    return tuple(lines)


def read_judgements(text: str, count: int) -> list[Judged]:
    """Return the verdicts that a model gave on so many sentences; it may leave some out.

    Raises:
        BadReply: empty, a refusal, prose, cut short, other fields, a sentence twice or one that is not there.
    """
    try:
        found = Judgements.model_validate(first_object(text)).judgements
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadReply("fields", f"the JSON is not of the form asked for (at {where})") from None
    numbers = [one.sentence for one in found]
    if len(set(numbers)) < len(numbers) or not set(numbers) <= set(range(1, count + 1)):
        raise BadReply("fields", f"the JSON judges other sentences than 1 to {count}, once each")
    return found


def first_object(text: str) -> dict[str, Any]:
    """Return the first JSON object in an answer, whatever stands around it."""
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.S).strip()
    if not text:
        raise BadReply("empty", "it was empty")
    decoder = json.JSONDecoder(strict=False)
    start, tries = text.find("{"), 0
    while start >= 0 and tries < 20:
        for candidate in (text[start:], re.sub(r",(\s*[}\]])", r"\1", text[start:])):
            try:
                found, _ = decoder.raw_decode(candidate)
            except (ValueError, RecursionError):
                continue
            # An inner object of an answer that is cut short is not the answer.
            if isinstance(found, dict) and found and not (tries and set(found) <= {"name", "text"}):
                return found
        start, tries = text.find("{", start + 1), tries + 1
    if tries and re.search(r'\{\s*"', text):
        raise BadReply("half", "its JSON has no end or is not well-formed")
    if _REFUSAL.search(text[:400]):
        raise BadReply("refusal", "it was a refusal")
    raise BadReply("prose", "it was prose instead of JSON")


def _fields(found: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a draft from an object whose keys are spelt in the model's own way."""
    for key in ("summary", "entry", "result", "digest"):
        if isinstance(found.get(key), dict):
            found = found[key]
    if isinstance(found.get("sections"), (list, dict)):
        listed = found["sections"]
        if isinstance(listed, dict):
            found = listed
        else:
            pairs = [one for one in listed if isinstance(one, dict)]
            texts = (
                (one.get("name") or one.get("title"), one.get("text") or one.get("content")) for one in pairs
            )
            found = {str(name): text for name, text in texts}
    wanted = ("whatsnew", "technicaldetails", "performancehighlights")
    names = ("whats_new", "technical_details", "performance_highlights")
    fields: dict[str, Any] = {"others": []}
    for key, value in found.items():
        flat = re.sub(r"[^a-z]", "", str(key).lower())
        if flat in wanted:
            fields[names[wanted.index(flat)]] = _text(value)
        elif flat in ("others", "other", "optional"):
            items = (
                list(value.items()) if isinstance(value, dict) else value if isinstance(value, list) else []
            )
            fields["others"] += [one for item in items if (one := _other(item))]
        elif isinstance(value, str) and value.strip():
            fields["others"].append({"name": str(key), "text": value})
    return fields


def _other(item: Any) -> dict[str, str] | None:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        return {"name": item["name"], "text": _text(item.get("text"))}
    if isinstance(item, tuple) and len(item) == 2:
        return {"name": str(item[0]), "text": _text(item[1])}
    return None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(one) for one in value if isinstance(one, (str, int, float)))
    return value if isinstance(value, str) else ""


def _heading(name: str) -> str:
    """Return a section's name as it can stand between the marks, or "" where it cannot."""
    name = re.sub(r"[*_`<>\[\]:：#|\\]", "", clean_section(name)).strip()
    return name if 0 < len(name) <= 60 and name not in SECTIONS else ""
