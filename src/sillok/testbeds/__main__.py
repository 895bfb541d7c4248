"""`python -m sillok.testbeds list|train|check NAME [--size S]`: rebuild and re-measure the checkpoints."""

from __future__ import annotations

import argparse
import json
import sys

from sillok import testbeds


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 when it succeeded (for `check`: when every bound holds), else 1."""
    parser = argparse.ArgumentParser(prog="python -m sillok.testbeds", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="names and sizes")
    for command in ("train", "check"):
        sub = commands.add_parser(command)
        sub.add_argument("name")
        sub.add_argument("--size", default="s")
        sub.add_argument("--samples", type=int, help="samples for the quality (default: the full measure)")
        if command == "train":
            sub.add_argument("--device", default="cpu")
            sub.add_argument("--out", help="folder of the checkpoint (default: inside the package)")
            sub.add_argument("--minutes", type=float)
            sub.add_argument("--start", help="folder of an earlier checkpoint to go on from")
            sub.add_argument("--steps", type=int)
            sub.add_argument("--seed", type=int, default=0)
            sub.add_argument("--threads", type=int, help="torch threads")
        else:
            sub.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    try:
        return _run(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.command == "list":
        for name, sizes in testbeds.available().items():
            print(f"{name:8s} {' '.join(sizes)}")
        return 0
    if options.command == "train":
        if options.threads:
            import torch

            torch.set_num_threads(options.threads)
        bed = testbeds.train(
            options.name,
            options.size,
            device=options.device,
            out=options.out,
            minutes=options.minutes,
            seed=options.seed,
            steps=options.steps,
            start=options.start,
            samples=options.samples,
            report=lambda line: print(line, flush=True),
        )
        print(bed.describe())
        return 0
    found = testbeds.check(options.name, options.size, samples=options.samples)
    if options.json:
        print(json.dumps({"ok": found.ok, "quality": found.quality, "shipped": found.shipped}))
    else:
        for metric, value in found.quality.items():
            print(f"{metric:24s} {value:10.4g}   shipped {found.shipped.get(metric, float('nan')):10.4g}")
        print("\n".join(found.failures) or "all bounds hold")
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main())
