"""The schema of a card: the TOML file that holds what Sillok knows of one paper."""

from __future__ import annotations

import datetime as dt
import keyword
import re
import tomllib
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sillok.papers.errors import CardError, Problem

#: A card is a page of text; a larger file is none.
MAX_BYTES = 2**20

_ID = re.compile(r"[0-9]{4}\.[0-9]{4,5}|[a-z]+(-[a-z]+)?(\.[A-Z]{2})?/[0-9]{7}")
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+|https://\S+")


def _full(pattern: str, what: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"is not {what}")
        return value

    return AfterValidator(check)


def _dotted(value: str) -> str:
    parts = value.split(".")
    if len(parts) < 2 or any(not part.isidentifier() or keyword.iskeyword(part) for part in parts):
        raise ValueError("is not a dotted name such as 'package.module.name'")
    return value


def _published(value: object) -> object:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2}))?", value)
        try:
            if match is None:
                raise ValueError
            dt.date(int(match[1]), int(match[2]), int(match[3] or 1))
        except ValueError:
            raise ValueError("is neither YYYY-MM nor YYYY-MM-DD") from None
    return value


Text = Annotated[str, Strict(), _full(r"(?s)\s*\S.*", "text")]
Word = Annotated[str, Strict(), _full(r"[a-z][a-z0-9_-]*", "one word of a-z, 0-9, '_' and '-'")]
Name = Annotated[str, Strict(), AfterValidator(_dotted)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DigestEntry(_Model):
    """A digest that listed the paper; `votes` is None where it printed "-"."""

    date: Annotated[dt.date, Strict()]
    votes: Annotated[int, Strict(), Field(ge=0)] | None = None


class Reference(_Model):
    """The authors' code: "owner/name" or an https address (None: they published none), and its licence."""

    repository: Annotated[str, Strict()] | None = None
    licence: Text = "unknown"

    @field_validator("repository")
    @classmethod
    def _check(cls, value: str | None) -> str | None:
        if value is not None and not _REPOSITORY.fullmatch(value):
            raise ValueError("is neither 'owner/name' nor an https address")
        return value


class Summary(_Model):
    """Sections by name, in order, in English and Korean."""

    en: dict[Text, Text] = Field(default_factory=dict)
    ko: dict[Text, Text] = Field(default_factory=dict)


class Usage(_Model):
    """How the method is used in its host library."""

    code: Text


class Figure(_Model):
    """What the paper prints: the value (None where it gives none), and what it was measured on."""

    value: Annotated[float, Strict(), Field(allow_inf_nan=False)] | None = None
    unit: Text | None = None
    baseline: Text | None = None
    dataset: Text | None = None
    hardware: Text | None = None
    where: Text | None = None
    verified: Annotated[bool, Strict()] = False


class Claim(_Model):
    """One statement with a figure, the trial that measures it here, and what that trial can tell.

    `testbed` names what the trial stands on: claims of one testbed are compared. `finding` explains the
    shipped verdict in words; a claim that was not upheld owes one.
    """

    id: Word
    text: Text
    text_ko: Text | None = None
    trial: Name | None = None
    testbed: Word | None = None
    scope: Text | None = None
    scope_ko: Text | None = None
    finding: Text | None = None
    finding_ko: Text | None = None
    paper: Figure = Field(default_factory=Figure)

    @field_validator("scope")
    @classmethod
    def _scope(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("trial") is not None:
            raise ValueError("is missing: a claim with a trial says what the trial shows")
        return value

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Card(_Model):
    """What Sillok knows of one paper.

    `differs` says where the method or its trial differs from the paper, `checked` what the method was compared
    with, by version and result. `published` is YYYY-MM or YYYY-MM-DD; `methods` are dotted names of public
    objects; `install` is the extra that brings what the method needs (the family's unless it says otherwise).
    """

    id: Annotated[str, Strict()]
    title: Text
    authors: tuple[Text, ...] = Field(min_length=1)
    authors_source: Text = "unverified"
    published: Annotated[str, Strict(), BeforeValidator(_published)]
    family: Word
    kind: Word
    host: Text
    wave: Literal[1, 2, 3] | None = None
    methods: tuple[Name, ...] = ()
    differs: tuple[Text, ...] = ()
    checked: tuple[Text, ...] = ()
    install: Word
    digests: tuple[DigestEntry, ...] = ()
    reference: Reference = Field(default_factory=Reference)
    summary: Summary = Field(default_factory=Summary)
    usage: Usage | None = None
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _install(cls, data: Any) -> Any:
        return {"install": data["family"], **data} if isinstance(data, dict) and "family" in data else data

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        if not _ID.fullmatch(value):
            raise ValueError("is no arXiv identifier such as '2411.19870' (without version)")
        return value

    @field_validator("methods")
    @classmethod
    def _methods(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names a method twice")
        return value

    @field_validator("digests")
    @classmethod
    def _digests(cls, value: tuple[DigestEntry, ...]) -> tuple[DigestEntry, ...]:
        if len({entry.date for entry in value}) != len(value):
            raise ValueError("has the same date twice")
        return value

    @field_validator("claims")
    @classmethod
    def _claims(cls, value: tuple[Claim, ...]) -> tuple[Claim, ...]:
        ids = [claim.id for claim in value]
        twice = next((id for id in ids if ids.count(id) > 1), None)
        if twice is not None:
            raise ValueError(f"has the id {twice!r} twice")
        return value

    @property
    def url(self) -> str:
        """The paper's page at arXiv."""
        return f"https://arxiv.org/abs/{self.id}"

    @property
    def has_method(self) -> bool:
        """Whether Sillok implements the paper's method."""
        return bool(self.methods)

    @property
    def trials(self) -> tuple[str, ...]:
        """The dotted names of the trials of the claims, each once, in order."""
        return tuple(dict.fromkeys(claim.trial for claim in self.claims if claim.trial is not None))

    def claim(self, id: str) -> Claim:
        """Return a claim by its id; KeyError names the ids that there are."""
        for claim in self.claims:
            if claim.id == id:
                return claim
        raise KeyError(f"{self.id} has no claim {id!r}; it has {[claim.id for claim in self.claims]}")


def validate_file(path: str | PathLike[str]) -> Card:
    """Read a card file.

    Raises:
        CardError: the file cannot be read, is no TOML, or breaks the schema; names file, field and value.
    """
    path = Path(path)
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise CardError([Problem(path.name, "", f"more than {MAX_BYTES:,} bytes")])
        data = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise CardError([Problem(path.name, "", f"cannot be read ({error.strerror or error})")]) from None
    except UnicodeDecodeError as error:
        raise CardError([Problem(path.name, "", f"not UTF-8 (byte {error.start})")]) from None
    except tomllib.TOMLDecodeError as error:
        raise CardError([Problem(path.name, "", f"not TOML: {error}")]) from None
    except RecursionError:
        raise CardError([Problem(path.name, "", "not a card: nested too deeply")]) from None
    try:
        card = Card.model_validate(data)
    except ValidationError as error:
        raise CardError([_problem(path.name, dict(detail)) for detail in error.errors()]) from None
    if card.id.replace("/", "_") != path.stem:
        raise CardError([Problem(path.name, "id", f"{card.id!r} is not the name of the file")])
    return card


_SAYS = {
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "int_type": "is not a whole number",
    "string_type": "is not text",
    "bool_type": "is neither true nor false",
    "date_type": "is not a date",
    "tuple_type": "is not a list",
    "dict_type": "is not a table",
    "model_type": "is not a table",
    "model_attributes_type": "is not a table",
    "extra_forbidden": "is the value of an unknown key",
}


def _problem(file: str, detail: dict[str, Any]) -> Problem:
    """Turn one of pydantic's errors into a line; the field is named as in claims[0].paper.value."""
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    field = field.lstrip(".")
    kind, value = detail["type"], repr(detail.get("input"))
    value = value if len(value) <= 80 else value[:77] + "..."
    if kind == "missing":
        return Problem(file, field, "is missing")
    if kind == "value_error":
        reason = str(detail["ctx"]["error"])
        return Problem(file, field, reason if reason.startswith("is missing") else f"{value} {reason}")
    if kind == "literal_error":
        return Problem(file, field, f"{value} is none of {detail['ctx']['expected']}")
    if kind == "too_short":
        return Problem(file, field, f"{value} is empty")
    if kind == "greater_than_equal":
        return Problem(file, field, f"{value} is less than {detail['ctx']['ge']}")
    return Problem(file, field, f"{value} {_SAYS.get(kind, detail['msg'].lower())}")
