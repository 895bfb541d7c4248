"""One self-contained HTML file: each measured figure beside the one that the paper printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sillok
from sillok.papers import Card, Claim
from sillok.record import Record, StoredRun
from sillok.verify import needs, tables, view
from sillok.verify.targets import Chosen


class ReportError(RuntimeError):
    """The report cannot be made or written; one line."""


def check_target(path: Path) -> None:
    """Find out before anything is measured whether a report can be written there.

    Raises:
        ReportError: the packages are missing, or the folder is not there, or the path is a folder.
    """
    lacking = needs.missing_packages("report")
    if lacking:
        raise ReportError(f"a report needs {', '.join(lacking)}: {needs.install_line('report')}")
    if path.is_dir():
        raise ReportError(f"{path} is a folder: name a file for the report")
    if not path.resolve().parent.is_dir():
        raise ReportError(f"the folder {path.resolve().parent} for the report is not there")


def collect(chosen: Chosen, record: Record | None) -> list[tuple[Card, Claim, list[view.Result]]]:
    """What the record and the shipped results hold of the claims that are meant."""
    return [(card, claim, view.gather(card, record)[claim.id]) for card, claim in chosen.claims]


def write(
    path: Path, items: Sequence[tuple[Card, Claim, list[view.Result]]], record: Record | None = None
) -> None:
    """Write the report.

    Raises:
        ReportError: the file cannot be written.
    """
    try:
        path.write_text(render(items, record), encoding="utf-8")
    except OSError as error:
        raise ReportError(f"the report {path} cannot be written: {error.strerror or error}") from None


def render(items: Sequence[tuple[Card, Claim, list[view.Result]]], record: Record | None = None) -> str:
    """The report as HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sillok.verify"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": tables.number}
    environment.globals |= {"inverse": tables.inverse}
    claims = [_claim(card, claim, found, record) for card, claim, found in items]
    order = ("upheld", "not upheld", "inconclusive", "failed", "out of reach", None)
    counts = [
        (verdict or "not measured", sum(item["view"]["verdict"] == verdict for item in claims))
        for verdict in order
    ]
    page: str = environment.get_template("report.html").render(
        claims=claims,
        counts=[item for item in counts if item[1]],
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=sillok.__version__,
    )
    return page


def _claim(card: Card, claim: Claim, found: list[view.Result], record: Record | None) -> dict[str, Any]:
    data = view.claim_view(claim, found)
    declaration = found[0].verdict.declaration if found else {}
    controls = []
    for mode in ("placebo", "fault"):
        for result in view.gather(card, record, mode)[claim.id][:1]:
            controls.append((mode, result.verdict.verdict))
    return {
        "card": card,
        "claim": claim,
        "view": data,
        "figure": tables.paper_figure(data),
        "slug": (data["verdict"] or "not measured").replace(" ", "-"),
        "charts": draw(found[0]) if found and found[0].runs else [],
        "controls": controls,
        "fault": declaration.get("fault", ""),
        "measures": declaration.get("measures", {}),
        "command": f"sillok verify {card.id}/{claim.id} --scale {data.get('scale', 'here')}",
    }


@dataclass(frozen=True)
class Drawing:
    """A chart of a result that is not drawn yet: its name, "points" or "curve", and how many rows it has."""

    name: str
    kind: str
    rows: int
    svg: Callable[[], str]


def drawings(result: view.Result, *, wide: bool = False) -> list[Drawing]:
    """The charts of a result: a strip of points for each metric, then its curves."""
    from sillok.verify import charts

    arms = result.verdict.declaration.get("arms") or list(dict.fromkeys(run.arm for run in result.runs))
    rows: dict[str, list[dict[str, Any]]] = {}
    units: dict[str, str] = {}
    for row in view.measurements(result):
        rows.setdefault(row["metric"], []).append(row)
        units[row["metric"]] = row["unit"]
    found = [
        Drawing(
            metric,
            "points",
            len({row["arm"] for row in values}),
            partial(charts.points, metric, units[metric], arms, values),
        )
        for metric, values in rows.items()
    ]
    return found + curve_drawings(result.runs, arms, wide=wide)


def curve_drawings(runs: Sequence[StoredRun], arms: Sequence[str], *, wide: bool = False) -> list[Drawing]:
    """The curves of runs, those of one name in one chart."""
    from sillok.verify import charts

    lines: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for curve in run.curves:
            lines.setdefault(curve["name"], []).append(curve | {"arm": run.arm, "seed": run.seed})
    size = {"width": 420, "height": 240} if wide else {}
    return [
        Drawing(name, "curve", len(items), partial(charts.curves, name, arms, items, **size))
        for name, items in lines.items()
        if any(item["points"] for item in items)
    ]


def draw(result: view.Result, *, wide: bool = False) -> list[dict[str, str]]:
    """The charts of a result, drawn: name, kind and SVG."""
    return [{"name": one.name, "kind": one.kind, "svg": one.svg()} for one in drawings(result, wide=wide)]
