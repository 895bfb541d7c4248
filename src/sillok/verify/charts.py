"""Charts as SVG: every seed a point, every arm a row; curves with one line an arm."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")

_INK = "#7b7f87"  # replaced by currentColor: the page decides, in light and in dark
_ALONE = "#6f747d"  # readable on white and on dark
DARK_INK = "#4b5058"  # for white ground, and for a page that inverts its charts in the dark
BASELINE = "#7d8590"
METHOD = "#c0392b"
_OTHERS = ("#2f6f9f", "#8a6d1f", "#4f7f4f", "#7a5195", "#a05d2c", "#3b8686")
_DASHES = ([1, 0], [9, 4], [2, 2], [9, 3, 2, 3], [5, 2], [1, 4], [12, 3, 2, 3, 2, 3], [14, 6])
_WIDTH = 215
_ROW = 26

_CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "domainColor": _INK,
        "tickColor": _INK,
        "gridColor": _INK,
        "gridOpacity": 0.18,
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "titleFontWeight": "normal",
        "labelLimit": 110,
    },
    "legend": {"labelColor": _INK, "titleColor": _INK},
    "title": {"color": _INK},
}


def colours(arms: Sequence[str]) -> dict[str, str]:
    """Arm -> colour: the baseline grey, the method in the accent, the rest apart from both."""
    rest = [_OTHERS[i % len(_OTHERS)] for i in range(max(0, len(arms) - 2))]
    return dict(zip(arms, [BASELINE, METHOD, *rest], strict=False))


def _svg(chart: Any) -> str:
    import vl_convert

    spec = chart.to_dict(validate=False)
    text: str = vl_convert.vegalite_to_svg(spec | {"config": _CONFIG | spec.get("config", {})})
    text = text.replace(_INK, "currentColor")
    return re.sub(r"<svg ", '<svg role="img" ', text, count=1)


def _unchecked(draw: Callable[P, str]) -> Callable[P, str]:
    """Draw without Altair's checks against its schema: they take half of the time, and a test does them."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> str:
        from altair.utils.schemapi import debug_mode

        with debug_mode(False):
            return draw(*args, **kwargs)

    return drawn


def alone(svg: str, ink: str = _ALONE) -> str:
    """A chart for an <img>, which knows no theme: what took the page's colour gets one of its own."""
    return svg.replace("currentColor", ink)


@_unchecked
def points(
    metric: str, unit: str, arms: Sequence[str], rows: Sequence[Mapping[str, Any]], *, width: int = _WIDTH
) -> str:
    """A row an arm, a point a seed, a bar at the mean. ``rows`` hold arm, seed and value."""
    import altair as alt

    present = [arm for arm in arms if any(row["arm"] == arm for row in rows)]
    palette = colours(arms)
    values = [{"arm": row["arm"], "seed": str(row["seed"]), "value": row["value"]} for row in rows]
    spread = [row["value"] for row in rows]
    positive = min(spread) > 0
    log = positive and max(spread) / min(spread) > 30
    scale = alt.Scale(type="log", nice=False, padding=6) if log else alt.Scale(zero=False, nice=True)
    x = alt.X(
        "value:Q",
        title=f"{metric} ({unit})" if unit else metric,
        scale=scale,
        axis=alt.Axis(
            tickCount=4, labelOverlap=True, **({"format": "~s"} if max(map(abs, spread)) >= 1e4 else {})
        ),
    )
    y = alt.Y("arm:N", sort=present, title=None, scale=alt.Scale(domain=present))
    colour = alt.Color(
        "arm:N", scale=alt.Scale(domain=present, range=[palette[arm] for arm in present]), legend=None
    )
    base = alt.Chart(alt.Data(values=values))
    dots = base.mark_circle(size=42, opacity=0.65).encode(x=x, y=y, color=colour)
    means = base.mark_tick(thickness=2.5, size=17).encode(x=alt.X("mean(value):Q"), y=y, color=colour)
    return _svg((dots + means).properties(width=width, height=_ROW * len(present)))


@_unchecked
def curves(
    name: str, arms: Sequence[str], items: Sequence[Mapping[str, Any]], *, width: int = 260, height: int = 170
) -> str:
    """One line an arm, seed and series. ``items`` hold arm, seed, series, x, y, log and points."""
    import altair as alt

    present = [arm for arm in arms if any(item["arm"] == arm for item in items)]
    palette = colours(arms)
    series = list(dict.fromkeys(item["series"] for item in items))
    values = [
        {
            "arm": item["arm"],
            "line": f"{item['arm']}/{item['seed']}/{item['series']}",
            "series": item["series"],
            "x": x,
            "y": y,
        }
        for item in items
        for x, y in item["points"]
        if not ("x" in item["log"] and x <= 0) and not ("y" in item["log"] and y <= 0)
    ]
    first = items[0]

    def scale(axis: str) -> Any:
        return alt.Scale(type="log", nice=False) if axis in first["log"] else alt.Scale(zero=False)

    encoding = {
        "x": alt.X("x:Q", title=first["x"], scale=scale("x"), axis=alt.Axis(tickCount=5, labelOverlap=True)),
        "y": alt.Y("y:Q", title=first["y"], scale=scale("y"), axis=alt.Axis(tickCount=5, labelOverlap=True)),
        "color": alt.Color(
            "arm:N",
            title=None,
            scale=alt.Scale(domain=present, range=[palette[arm] for arm in present]),
            legend=alt.Legend(orient="bottom", columns=2, labelLimit=150) if len(present) > 1 else None,
        ),
        "detail": alt.Detail("line:N"),
    }
    if len(series) > 1:
        encoding["strokeDash"] = alt.StrokeDash(
            "series:N",
            title=None,
            scale=alt.Scale(domain=series, range=[list(dash) for dash in _DASHES[: len(series)]]),
            legend=alt.Legend(
                orient="bottom", columns=1, labelLimit=260, symbolSize=900, symbolStrokeWidth=1.5
            ),
        )
    chart = alt.Chart(alt.Data(values=values)).mark_line(strokeWidth=1.4, opacity=0.8).encode(**encoding)
    return _svg(chart.properties(width=width, height=height, title=name))
