"""The testbeds' pages: what each is, how it was trained, its figures, and pictures of it.

``python -m sillok.testbeds.pages docs/testbeds [NAME ...]`` writes them anew from the shipped checkpoints.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sillok import testbeds
from sillok.testbeds.base import Exhibit, Testbed

_INK = "#6f747d"  # readable on white and on dark: an <img> knows no theme
_LINES = ("#2f6fde", "#d9480f", "#2b8a3e", "#862e9c")


def write(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """Write pages and pictures of some testbeds (of all, and the index, by default) and return the pages' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    every = {**testbeds.available(), testbeds.SIMULATED: ()}
    pages = [_page(folder, name, every[name]) for name in names or every]
    if not names:
        path = folder / "index.md"
        path.write_text(index(), encoding="utf-8")
        pages.insert(0, path)
    return pages


def index() -> str:
    """The page that lists all testbeds."""
    rows = [
        "| testbed | size | what it is | parameters | trained for | guarded figures |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for row in testbeds.catalogue():
        name = row["name"]
        if not row["bytes"]:
            rows.append(f"| [`{name}`]({name}.md) | | {row['summary']} | | | |")
            continue
        guarded = "; ".join(f"{_words(m)} {row['quality'][m]:.4g}" for m in row["bounds"])
        minutes = f"{row['seconds'] / 60:.1f} min"
        rows.append(
            f"| [`{name}`]({name}.md) | {row['size']} | {row['summary']} | {row['parameters']:,} | {minutes} | "
            f"{guarded} |"
        )
    return _INDEX.format(table="\n".join(rows))


_INDEX = """# Testbeds

Small real problems that the trials share: data with splits, a small model in its host library's own class, trained
once, its recipe, and its measured quality. Everything is made on the user's machine or ships with the package;
nothing is downloaded.

```python
from sillok import testbeds

bed = testbeds.load("flow", size="s")   # data, trained model, recipe, log and measured quality
images = bed.sample([0, 5, 10], guidance=4.0)
print(bed.describe())
```

```console
$ sillok testbed list           # names, sizes, figures
$ sillok testbed check flow     # measures it again; exits 0 when its floors hold
$ sillok testbed train flow     # rebuilds it, in at most 15 minutes on two cores
```

A training that was interrupted goes on when the same command is given again. A checkpoint whose hash is not the
one in its facts, or that was trained by another recipe than this version's, is refused.

{table}

The times were taken on two cores of a shared machine; the figures are measured on held-out data, by `check`.
"""


def _page(folder: Path, name: str, sizes: Sequence[str]) -> Path:
    if name == testbeds.SIMULATED:
        from sillok.testbeds import sim_model

        lines = [f"# `{name}`", "", *_prose(inspect.getdoc(sim_model) or ""), ""]
        exhibits = sim_model.exhibits()
    else:
        beds = [testbeds.load(name, size) for size in sizes]
        lines = facts(folder, name, beds)
        exhibits = beds[-1].exhibits()
    for exhibit in exhibits:
        lines += _exhibit(folder, name, exhibit)
    path = folder / f"{name}.md"
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return path


def _prose(text: str) -> list[str]:
    return [line.replace("``", "`") for line in text.splitlines()]


def facts(folder: Path, name: str, beds: Sequence[Testbed]) -> list[str]:
    """The lines of a testbed's page up to its exhibits; the loss curve is drawn into `folder`."""
    largest = beds[-1]
    lines = [f"# `{name}`", "", *_prose(inspect.getdoc(type(largest)) or ""), "", "## Use", "", "```python"]
    lines += [
        "from sillok import testbeds",
        "",
        f'bed = testbeds.load("{name}", size="{largest.size}")',
        "```",
        "",
    ]
    lines += ["## Figures", "", f"Measured on held-out data by `sillok testbed check {name}`.", ""]
    lines += [
        "| | " + " | ".join(bed.size for bed in beds) + " | must lie in |",
        "| --- |" + " ---: |" * (len(beds) + 1),
    ]
    metrics = list(dict.fromkeys(metric for bed in beds for metric in bed.quality))
    for metric in metrics:
        cells = [f"{bed.quality[metric]:.4g}" if metric in bed.quality else "" for bed in beds]
        bounds = [bed.bounds().get(metric) for bed in beds]
        held = "; ".join(dict.fromkeys(f"{b[0]:g} to {b[1]:g}" for b in bounds if b is not None))
        lines.append(f"| {_words(metric)} | " + " | ".join(cells) + f" | {held} |")
    for key, title in (("parameters", "parameters"), ("steps", "steps"), ("seconds", "seconds of training")):
        lines.append(f"| {title} | " + " | ".join(f"{bed.facts[key]:,}" for bed in beds) + " | |")
    lines += ["", "## Training", "", f"![Loss by step]({name}-loss.svg)", ""]
    (folder / f"{name}-loss.svg").write_text(_curve(beds), encoding="utf-8")
    for bed in beds:
        fields = ", ".join(f"{key} {value!r}" for key, value in dataclasses.asdict(bed.recipe).items())
        lines.append(f"Recipe of `{bed.size}` ({bed.recipe.hash}; on {bed.facts['device']}): {fields}.")
        lines.append("")
    return lines


def _words(metric: str) -> str:
    return metric.replace("_", " ").replace("@", " at ")


def _exhibit(folder: Path, name: str, exhibit: Exhibit) -> list[str]:
    title = exhibit.name.replace("-", " ")
    lines = [f"## {title[0].upper()}{title[1:]}", "", exhibit.caption, ""]
    if exhibit.image is not None:
        from PIL import Image

        file = f"{name}-{exhibit.name.lower().replace(' ', '-')}.png"
        Image.fromarray(exhibit.image).save(folder / file, optimize=True)
        lines += [f"![{title}]({file})", ""]
    if exhibit.text:
        lines += ["```text", *exhibit.text.splitlines(), "```", ""]
    return lines


def _curve(beds: Sequence[Testbed]) -> str:
    """The losses of all sizes by step, on logarithmic axes, as SVG."""
    import altair as alt
    import vl_convert

    rows: list[dict[str, Any]] = [
        {"step": row["step"], "loss": row["loss"], "size": bed.size} for bed in beds for row in bed.log
    ]
    chart = (
        alt.Chart(alt.Data(values=rows), width=560, height=220, background="transparent")
        .mark_line(strokeWidth=1.6, clip=True)
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y("loss:Q", title="training loss", scale=alt.Scale(type="log", nice=True)),
            color=alt.Color(
                "size:N",
                scale=alt.Scale(domain=[bed.size for bed in beds], range=list(_LINES[: len(beds)])),
                legend=None if len(beds) == 1 else alt.Legend(title="size"),
            ),
        )
        .configure_axis(labelColor=_INK, titleColor=_INK, gridOpacity=0.25, domainColor=_INK, tickColor=_INK)
        .configure_legend(labelColor=_INK, titleColor=_INK)
        .configure_view(stroke=None)
    )
    svg: str = vl_convert.vegalite_to_svg(chart.to_dict())
    return svg + "\n"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m sillok.testbeds.pages DIR [NAME ...]")
    for written in write(Path(sys.argv[1]), sys.argv[2:]):
        print(written)
