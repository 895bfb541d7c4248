"""`sillok testbed`: what testbeds there are, how one is rebuilt, and whether its figures still hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sillok.cli.options import ERROR, JsonOption
from sillok.cli.out import emit

app = typer.Typer(no_args_is_help=True, help="The small problems and models that trials share.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="One of `sillok testbed list`.")]
Size = Annotated[str, typer.Option("--size", help="One of its sizes.")]
Samples = Annotated[
    int | None, typer.Option("--samples", min=1, help="Samples of the measure, instead of the full one.")
]


def _figures(values: dict[str, float]) -> str:
    return ", ".join(f"{metric} {value:.4g}" for metric, value in values.items())


@app.command("list", epilog="Example: sillok testbed list --json")
def list_(as_json: JsonOption = False) -> None:
    """Names and sizes, with what each is, its parameters and the figures that are guarded."""
    from sillok import testbeds

    rows = testbeds.catalogue()
    if as_json:
        emit(rows)
        return
    for row in rows:
        print(f"{row['name']:16s}{row['size']:4s} {row['summary']}")
        if row["bytes"]:
            size = f"{row['parameters']:,} parameters, {row['bytes'] / 1e6:.2f} MB"
            print(f"{'':21s}{size}; {_figures({m: row['quality'][m] for m in row['bounds']})}")


@app.command(
    epilog="Examples: sillok testbed train ddpm; sillok testbed train flow --device cuda --out weights"
)
def train(
    name: Name,
    size: Size = "s",
    device: Annotated[str, typer.Option(help="A torch device.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option("--out", help="The checkpoint's folder; inside the package by default.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Stop after so many minutes.")] = 15.0,
    seed: Annotated[int, typer.Option(help="Of weights, order of data, and noise.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Another number of steps than the recipe's.")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="The folder of a checkpoint to go on from.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of torch.")] = None,
    samples: Samples = None,
    as_json: JsonOption = False,
) -> None:
    """Train a testbed anew, measure it and write its checkpoint; the same call again goes on after a stop."""
    from sillok import testbeds

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    bed = testbeds.train(
        name,
        size,
        device=device,
        out=out,
        minutes=minutes,
        seed=seed,
        steps=steps,
        start=start,
        samples=samples,
        report=None if as_json else lambda line: print(line, flush=True),
    )
    if as_json:
        emit({**bed.facts, "quality": bed.quality})
    else:
        print(bed.describe())


@app.command(epilog="Examples: sillok testbed check ddpm; sillok testbed check digits --size m --json")
def check(
    name: Name,
    size: Size = "s",
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where the checkpoint lies; inside the package by default."),
    ] = None,
    samples: Samples = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a testbed again; exit 0 when its floors hold, 1 when one does not."""
    from sillok import testbeds

    found = testbeds.check(name, size, samples=samples, folder=folder)
    if as_json:
        _print_json(name, size, found)
    else:
        width = max(len(metric) for metric in found.quality)
        for metric, value in found.quality.items():
            low, high = found.bounds.get(metric, (None, None))
            floor = "" if low is None else f"   must lie in [{low:g}, {high:g}]"
            print(
                f"{metric:{width}s} {value:10.4g}   shipped {found.shipped.get(metric, float('nan')):10.4g}{floor}"
            )
        print("\n".join(found.failures) or "all floors hold")
    if not found.ok:
        raise typer.Exit(ERROR)


def _print_json(name: str, size: str, found: Any) -> None:
    values = {
        "name": name,
        "size": size,
        "ok": found.ok,
        "quality": found.quality,
        "shipped": found.shipped,
        "bounds": found.bounds,
        "failures": found.failures,
    }
    emit(values)
