"""How common a term is in papers at large, and hence what it tells that a paper has it.

`background.txt` counts in how many of the development papers of the planted set each term stands
(benchmarks/digest_check_fit.py writes it); terms of one paper only are left out.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

#: Share of a true sentence's terms that its paper has in the same words.
BORNE = 0.8
#: The least and the greatest share of papers that are taken to have a term.
_LEAST, _GREATEST = 0.03, 0.9


@dataclass(frozen=True, slots=True)
class Background:
    """Counts of terms.

    Attributes:
        papers: how many papers were counted.
        length: mean number of terms of a paper.
        counts: by term, in how many papers it stands.
    """

    papers: int
    length: float
    counts: dict[str, int]

    def likelihood(self, keys: Collection[str], held: Collection[str], length: int) -> float:
        """Return the log-likelihood ratio of terms being of this paper against being of any other.

        Args:
            keys: the sentence's terms.
            held: the paper's terms.
            length: number of terms of the paper; a longer one has more terms by chance.
        """
        longer = max(1.0, length / self.length)
        total = 0.0
        for key in keys:
            rate = (
                1
                - (1 - self.counts.get(key, 1) / self.papers * (0.5 if key not in self.counts else 1))
                ** longer
            )
            rate = min(max(rate, _LEAST), _GREATEST)
            total += math.log(BORNE / rate) if key in held else math.log((1 - BORNE) / (1 - rate))
        return total


@lru_cache(maxsize=1)
def background() -> Background:
    """Return the counts that come with Sillok."""
    first, *lines = (files(__package__) / "background.txt").read_text(encoding="utf-8").splitlines()
    papers, length = first.split()
    counts = {key: int(count) for key, count in (line.split() for line in lines)}
    return Background(int(papers), float(length), counts)
