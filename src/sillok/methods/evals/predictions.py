"""Saved predictions: read in the forms that authors use, set against the records, and counted where they do not fit."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast, get_args

#: What becomes of a record without a prediction: the authors' own way, left out of the score, or scored as the worst.
Missing = Literal["published", "skip", "penalise"]

#: "published" gives the authors' figures, faults included; "strict" gives what they would be without those faults.
Mode = Literal["published", "strict"]

#: Keys under which files of predictions hold the id and the reply, in the order in which they are looked for.
ID_KEYS = ("id", "idx", "qid", "question_id", "sample_id", "image_path")
TEXT_KEYS = ("prediction", "reply", "response", "generation", "output", "answer", "text")

_SUFFIXES = (".md", ".mmd", ".txt", ".html")


@dataclass(frozen=True)
class Prediction:
    """What a system replied to one record.

    Attributes:
        text: the reply, as it came.
        extras: what else the benchmark's grading needs, by name: what a judge said of the reply, labels of steps.
    """

    text: str
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Counts:
    """How predictions fitted the records.

    Attributes:
        records: that there are.
        predicted: records with a prediction, empty ones included.
        missing: records without one.
        duplicated: further predictions for a record that had one already.
        unknown: predictions for an id that no record has.
        empty: predictions without any text but white space.
        undecodable: files or lines that were in no known encoding or no JSON, read as well as can be or left out.
        unparsed: predictions in which the grading found no answer.
        refused: predictions that refuse.
    """

    records: int = 0
    predicted: int = 0
    missing: int = 0
    duplicated: int = 0
    unknown: int = 0
    empty: int = 0
    undecodable: int = 0
    unparsed: int = 0
    refused: int = 0

    def __str__(self) -> str:
        found = [f"{value} {name}" for name, value in vars(self).items() if value and name != "predicted"]
        return f"{self.predicted} of {self.records} predicted" + "".join(f", {part}" for part in found[1:])


@dataclass
class Predictions:
    """Predictions by id (the last one for each, and the first where there are several), and faults of their file."""

    by_id: dict[str, Prediction] = field(default_factory=dict)
    first: dict[str, Prediction] = field(default_factory=dict)
    duplicated: list[str] = field(default_factory=list)
    undecodable: int = 0

    def add(self, id: str, prediction: Prediction) -> None:
        """Take one in; a second one for the same id replaces the first, as a later line of a run does."""
        if id in self.by_id:
            self.duplicated.append(id)
            self.first.setdefault(id, self.by_id[id])
        self.by_id[id] = prediction

    @classmethod
    def of(cls, given: Predictions | Mapping[str, Any] | Iterable[Any]) -> Predictions:
        """Predictions from what a caller has at hand.

        Args:
            given: a mapping from ids to replies (text, `Prediction`, or a mapping with a text key and extras), or a
                list of mappings that hold an id and a reply each.

        Raises:
            ValueError: an entry that holds no id or no reply.
            TypeError: anything else.
        """
        if isinstance(given, Predictions):
            return given
        made = cls()
        if isinstance(given, Mapping):
            for id, value in given.items():
                made.add(str(id), _prediction(value, f"predictions[{id!r}]"))
            return made
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise TypeError(
                f"predictions must be a mapping from ids or a list of mappings, not {type(given).__name__}"
            )
        for index, row in enumerate(given):
            where = f"predictions[{index}]"
            if not isinstance(row, Mapping):
                raise ValueError(
                    f"{where} must be a mapping with an id and a reply, not {type(row).__name__}"
                )
            key = next((key for key in ID_KEYS if row.get(key) is not None), None)
            if key is None:
                raise ValueError(
                    f"{where} must hold an id under one of {', '.join(ID_KEYS)}; it has {sorted(row)[:9]}"
                )
            made.add(str(row[key]), _prediction({k: v for k, v in row.items() if k != key}, where))
        return made


def _prediction(value: Any, where: str) -> Prediction:
    if isinstance(value, Prediction):
        return value
    if value is None:
        return Prediction("")
    if isinstance(value, str):
        return Prediction(value)
    if isinstance(value, Mapping):
        texts = {key: _one_text(value[key]) for key in TEXT_KEYS if key in value}
        key = next((key for key, text in texts.items() if text is not None), None)
        extras = {str(k): v for k, v in value.items() if k != key}
        if key is None and not extras:
            raise ValueError(f"{where} holds no reply: expected text under one of {', '.join(TEXT_KEYS)}")
        return Prediction(texts.get(key or "") or "", extras)
    raise ValueError(f"{where} must be text or a mapping with a reply, not {type(value).__name__}")


def _one_text(value: Any) -> str | None:
    """A reply as text: itself, "" of a null, the first of a list of samples; None of anything else."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[0]
    return "" if value is None else value if isinstance(value, str) else None


def decode(data: bytes) -> tuple[str, bool]:
    """The text of `data`, and whether it could be decoded without loss.

    UTF-8 (with or without its mark) and UTF-16 with its mark are read as such; anything else as UTF-8 with
    replacement characters where it is none.
    """
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if marked else "utf-8-sig"
    try:
        return data.decode(encoding), True
    except UnicodeDecodeError:
        return data.decode(encoding, errors="replace"), False


def read(path: str | PathLike[str]) -> Predictions:
    """Predictions from a file or folder, in the forms that benchmarks' authors use.

    Args:
        path: a ``.jsonl`` file of objects, a ``.json`` file (a list of objects, or an object from ids to replies), or
            a folder of text files (``.md``, ``.mmd``, ``.txt``, ``.html``) whose names without suffix are the ids.

    Raises:
        ValueError: nothing that can be read as such; the message is one line that names the file.
    """
    path = Path(path)
    if path.is_dir():
        made = Predictions()
        for file in sorted(path.iterdir()):
            if file.suffix.lower() in _SUFFIXES and file.is_file():
                text, whole = decode(file.read_bytes())
                made.undecodable += not whole
                made.add(file.stem, Prediction(text))
        if not made.by_id:
            raise ValueError(f"{path} holds no predictions: expected files named <id>{'|'.join(_SUFFIXES)}")
        return made
    try:
        text, whole = decode(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror or error})") from None
    if path.suffix.lower() == ".jsonl":
        made, broken = _lines(text, path)
    else:
        try:
            made, broken = Predictions.of(json.loads(text)), 0
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{path} is no JSON ({error})") from None
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None
    made.undecodable += broken + (not whole)
    return made


def _lines(text: str, path: Path) -> tuple[Predictions, int]:
    """Objects of a JSON Lines text, and how many lines were none (the last line of a killed run, say)."""
    rows, broken = [], 0
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            broken += 1
            continue
        rows.append(row)
    if broken and not rows:
        raise ValueError(f"{path} holds no JSON object in any of its {broken} lines")
    try:
        return Predictions.of(rows), broken
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def align(
    ids: Sequence[str], predictions: Predictions, *, first: bool = False
) -> tuple[list[Prediction | None], Counts]:
    """The prediction of each record, in the records' order (None where there is none), and the counts.

    Args:
        ids: of the records.
        predictions: for them, and perhaps for others.
        first: whether the first of several predictions for one record counts, and not the last.

    Raises:
        ValueError: two records with one id.
    """
    known = set(ids)
    if len(known) != len(ids):
        twice = next(id for index, id in enumerate(ids) if id in ids[:index])
        raise ValueError(f"records must have different ids; {twice!r} stands there twice")
    by_id = predictions.by_id | (predictions.first if first else {})
    found = [by_id.get(id) for id in ids]
    return found, Counts(
        records=len(ids),
        predicted=sum(one is not None for one in found),
        missing=sum(one is None for one in found),
        duplicated=sum(id in known for id in predictions.duplicated),
        unknown=sum(id not in known for id in predictions.by_id),
        empty=sum(one is not None and not one.text.strip() and not one.extras for one in found),
        undecodable=predictions.undecodable,
    )


def policy(missing: str) -> Missing:
    """`missing`, checked.

    Raises:
        ValueError: none of "published", "skip", "penalise".
    """
    if missing not in get_args(Missing):
        raise ValueError(f"missing must be one of {', '.join(get_args(Missing))}, not {missing!r}")
    return cast(Missing, missing)


def reading(mode: str) -> Mode:
    """`mode`, checked.

    Raises:
        ValueError: neither "published" nor "strict".
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")
    return cast(Mode, mode)


#: How refusals begin, in the replies of the models that benchmarks publish (lower case).
_REFUSALS = (
    "i'm sorry",
    "i am sorry",
    "sorry, ",
    "i cannot ",
    "i can't ",
    "i'm unable",
    "i am unable",
    "i'm not able",
    "as an ai",
    "unfortunately, i ",
)


def refuses(text: str) -> bool:
    """Whether a reply begins as refusals do; it is counted, and graded as any other reply."""
    return text.lstrip(" \n\t*\"'").lower().replace("’", "'").startswith(_REFUSALS)
