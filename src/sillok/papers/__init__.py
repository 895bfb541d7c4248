"""The cards and the catalogue that loads them.

card = sillok.papers.load("2411.19870")
card.title, card.claims, card.trials
sillok.papers.catalogue().problems        # () when every installed card is valid
"""

from typing import TYPE_CHECKING, Any

from sillok.papers.catalogue import Catalogue, catalogue, load
from sillok.papers.errors import CardError, Problem, UnknownPaper

if TYPE_CHECKING:
    from sillok.papers.card import Card, Claim, DigestEntry, Figure, Reference, Summary, Usage, validate_file

_SCHEMA = ("Card", "Claim", "DigestEntry", "Figure", "Reference", "Summary", "Usage", "validate_file")

__all__ = [
    "Card",
    "CardError",
    "Catalogue",
    "Claim",
    "DigestEntry",
    "Figure",
    "Problem",
    "Reference",
    "Summary",
    "UnknownPaper",
    "Usage",
    "catalogue",
    "load",
    "validate_file",
]


def __getattr__(name: str) -> Any:
    # The schema brings pydantic, a tenth of a second; it is imported when it is first named.
    if name in _SCHEMA:
        from sillok.papers import card

        return getattr(card, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
