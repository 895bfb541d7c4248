"""Records as their authors publish them: from files, from folders of files, or from the Hugging Face hub."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


@functools.cache
def _kind() -> type[ValueError]:
    """A kind of ValueError that `inspect eval` prints as one line, without a traceback, where this Inspect has such."""
    try:
        from inspect_ai._util.error import PrerequisiteError
    except ImportError:
        return ValueError

    class SourceError(ValueError, PrerequisiteError):
        def __init__(self, message: str) -> None:
            super().__init__(message)
            self.message = message.replace("[", r"\[")  # Inspect prints it as markup

    return SourceError


def unreadable(message: str) -> ValueError:
    """The error for data that cannot be had, for callers to raise."""
    return _kind()(message)


def rows(source: str | Path, *, config: str | None = None, split: str | None = None) -> list[dict[str, Any]]:
    """The rows of a data set.

    Args:
        source: a ``.jsonl`` or ``.json`` file, a folder of such files (read in the order of their names), or the id of
            a data set on the hub, which Hugging Face's ``datasets`` loads.
        config: of the data set on the hub, where it has several.
        split: of the data set on the hub; its only one by default.

    Raises:
        ValueError: nothing that can be read, or no row; the message is one line and names the source.
        ImportError: a hub id without ``datasets``; the message says how to install it.
    """
    path = Path(source)
    if path.is_dir():
        found = [row for file in sorted(path.glob("*.json*")) if file.is_file() for row in _read(file)]
    elif path.exists() or path.suffix in (".json", ".jsonl"):
        found = _read(path)
    else:
        found = list(_hub(str(source), config, split))
    if not found:
        raise unreadable(f"{source} holds no rows")
    return found


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".jsonl":
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            found = json.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise unreadable(f"{path} cannot be read as rows ({error})") from None
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise unreadable(f"{path} cannot be read as rows: expected a list of objects")
    return found


def _hub(source: str, config: str | None, split: str | None) -> Iterator[dict[str, Any]]:
    try:
        from datasets import DatasetDict, load_dataset
    except ImportError:
        raise ImportError("data sets of the hub need datasets: pip install 'sillok[evals]'") from None
    try:
        loaded = load_dataset(source, config, split=split)
    except Exception as error:  # of many kinds: no network, no such data set, a gated one
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise unreadable(f"{source} is no file here, and the hub does not give it ({line[:200]})") from None
    if isinstance(loaded, DatasetDict):
        if len(loaded) > 1:
            raise unreadable(f"split of {source} must be one of {', '.join(loaded)}")
        loaded = next(iter(loaded.values()))
    yield from loaded


def require(rows: Iterable[dict[str, Any]], keys: Iterable[str], source: str | Path) -> None:
    """Check that every row has the keys of the version that is known here.

    Raises:
        ValueError: one that has not; the message names the row, the key, and what the row has.
    """
    keys = tuple(keys)
    for index, row in enumerate(rows):
        lacking = [key for key in keys if key not in row]
        if lacking:
            raise unreadable(
                f"{source}: row {index} has no {lacking[0]!r} (it has {', '.join(sorted(row)[:8])}); "
                "is it a file of another version?"
            )
