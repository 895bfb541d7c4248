"""The catalogue: the cards of this package and of every installed package that adds some.

A package adds cards through an entry point of the group `sillok.papers` (in its pyproject.toml):

    [project.entry-points."sillok.papers"]
    mine = "my_package.cards"            # a package or folder with <arXiv id>.toml files in it
    more = "my_package.extra:paths"      # or a function, or a list, that gives files and folders

The file's name is the paper's id, so that a card is parsed only when it is asked for.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar, overload

from sillok.papers.errors import CardError, Problem, UnknownPaper

if TYPE_CHECKING:
    from sillok.papers.card import Card

GROUP = "sillok.papers"
_Default = TypeVar("_Default")


class Catalogue(Mapping[str, "Card"]):
    """Cards by arXiv id, parsed at first use.

    A broken card, or a package that cannot be imported, is one of `problems`; the rest stays usable.
    Iteration and length count the valid cards. Asking for a broken card by `[id]` raises its CardError.
    """

    def __init__(self, files: Mapping[str, Path], problems: Iterable[Problem] = ()) -> None:
        self._files = dict(files)
        self._found = tuple(problems)
        self._cards: dict[str, Card] = {}
        self._broken: dict[str, CardError] = {}

    def __getitem__(self, id: str) -> Card:
        if id in self._broken:
            raise self._broken[id]
        if id not in self._cards:
            if id not in self._files:
                raise UnknownPaper(id, self._close(id))
            from sillok.papers.card import validate_file

            try:
                self._cards[id] = validate_file(self._files[id])
            except CardError as error:
                self._broken[id] = error
                raise
        return self._cards[id]

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and id in self._files and self._valid(id)

    def __iter__(self) -> Iterator[str]:
        return iter([id for id in self._files if self._valid(id)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def get(self, key: str, /) -> Card | None: ...
    @overload
    def get(self, key: str, /, default: Card | _Default) -> Card | _Default: ...
    def get(self, key: str, /, default: object = None) -> object:
        """Return a card, or `default` where there is none that is valid."""
        if key in self:
            return self[key]
        return default

    def __repr__(self) -> str:
        return f"<Catalogue of {len(self._files)} card files>"

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every fault of every card and of every package that adds cards (parses all cards)."""
        for id in self._files:
            self._valid(id)
        return self._found + tuple(p for error in self._broken.values() for p in error.problems)

    def _valid(self, id: str) -> bool:
        try:
            self[id]
        except CardError:
            return False
        return True

    def _close(self, id: str) -> list[str]:
        """Ids like the one given, or of papers whose title has it."""
        close = difflib.get_close_matches(id, self._files, n=3, cutoff=0.75)
        if not close and len(id) >= 3:
            close = [key for key in self if id.casefold() in self[key].title.casefold()][:3]
        return close


def load(id: str) -> Card:
    """Return the card of a paper.

    Args:
        id: arXiv identifier; "arXiv:" before it and a version after it are ignored.

    Raises:
        UnknownPaper: no card has the id (a KeyError; suggests close ones).
        CardError: the card breaks the schema.
        TypeError: `id` is no str.
    """
    if not isinstance(id, str):
        raise TypeError(f"id: {id!r} is {type(id).__name__}; an arXiv identifier as str is accepted")
    bare = re.sub(r"(?i)^arxiv:", "", id.strip())
    return catalogue()[re.sub(r"(?<=[0-9])v[0-9]+$", "", bare)]


@functools.cache
def catalogue() -> Catalogue:
    """Return the catalogue of all installed cards; `catalogue.cache_clear()` looks again."""
    files = {_id(path): path for path in sorted(Path(__file__).parent.glob("*.toml"))}
    problems: list[Problem] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        for path in _provided(entry, problems):
            other = files.setdefault(_id(path), path)
            if other != path:
                reason = f"{entry.name} = {entry.value!r}: another card with this id is at {other}"
                problems.append(Problem(path.name, "id", reason))
    return Catalogue(files, problems)


def _id(path: Path) -> str:
    return path.stem.replace("_", "/", 1)


def _provided(entry: EntryPoint, problems: list[Problem]) -> list[Path]:
    """Return the card files of one entry point; whatever goes wrong in that package becomes a problem."""
    name = f"entry point {entry.name} = {entry.value!r}"
    try:
        found = entry.load()
        if isinstance(found, ModuleType):
            paths = [Path(folder) for folder in getattr(found, "__path__", ())]
            if not paths and found.__file__:
                paths = [Path(found.__file__).parent]
        else:
            given = found() if callable(found) else found
            paths = [Path(given)] if isinstance(given, (str, os.PathLike)) else [Path(path) for path in given]
        missing = [path for path in paths if not path.exists()]
        problems.extend(Problem(name, "", f"no file or folder {path}") for path in missing)
        files = [
            file for path in paths for file in (sorted(path.glob("*.toml")) if path.is_dir() else [path])
        ]
    # Another's code runs here at import, and may raise anything, SystemExit included.
    except (Exception, SystemExit) as error:
        problems.append(Problem(name, "", f"cannot be loaded ({type(error).__name__}: {error})"))
        return []
    files = [file for file in files if file.exists()]
    if not files and not missing:
        problems.append(Problem(name, "", "has no *.toml card"))
    return files
