"""Charts as SVG files: drawn when first asked for, by the report's code, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence

from sillok.verify import charts, report, view
from sillok.web.shelf import Shelf
from sillok.web.views import NotFound
from sillok.web.views import claims as claim_views
from sillok.web.views.runs import drawings as curves_of
from sillok.web.views.runs import find

KEPT = 2000  # drawn charts that are kept, some 15 kB each


class Charts:
    """The charts of a site. Safe to use from several threads; one draws at a time."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._drawn: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def of_result(self, paper: str, claim: str, source: str, machine: str, scale: str, number: int) -> bytes:
        """The chart of a claim's result. Raises NotFound where there is no such result or chart."""
        for result in claim_views.found(self._shelf, paper):
            verdict = result.verdict
            same = (verdict.claim, verdict.machine, verdict.scale) == (claim, machine, scale)
            if same and verdict.mode == "trial" and result.shipped == (source == "shipped"):
                key = (paper, claim, source, machine, scale, claim_views.version(result), number)
                return self._draw(key, self._drawings(result), number)
        raise NotFound("there is no such chart")

    def of_run(self, id: str, number: int) -> bytes:
        """A curve of a run. Raises NotFound where there is no such run or curve."""
        run, _ = find(self._shelf, id)
        return self._draw((id, number), curves_of(run), number)

    @staticmethod
    def _drawings(result: view.Result) -> Sequence[report.Drawing]:
        return report.drawings(result)

    def _draw(self, key: Hashable, drawings: Sequence[report.Drawing], number: int) -> bytes:
        if number >= len(drawings):
            raise NotFound("there is no such chart")
        with self._lock:
            if key not in self._drawn:
                self._drawn[key] = charts.alone(drawings[number].svg(), charts.DARK_INK).encode()
                if len(self._drawn) > KEPT:
                    self._drawn.popitem(last=False)
            self._drawn.move_to_end(key)
            return self._drawn[key]
