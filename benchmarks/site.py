"""Time the site over a large record, served by one worker: p50 and p95 of Today, Paper and Search, errors, sizes.

python benchmarks/site.py [--papers 200000] [--runs 100000] [--rate 50] [--seconds 120] [--export 1000]
    [--record PATH] [--seed 0]

The record is that of `filled.py`; `--record` names another one, which is filled where it is empty. Readers ask at
a fixed rate from a process of their own, whether the last answer has come or not, and wait from the moment at
which they should have asked. The export is that of another record with `--export` papers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from filled import Words, fill, measured, place
from search import queries

from sillok.record import Record

KINDS = ("today", "paper", "search")


@contextmanager
def served(record: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of the site, and the process of its own that serves it, with one worker."""
    command = [sys.executable, "-m", "sillok.cli", "serve", "--port", "0", "--record", record]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip().rstrip("/"), psutil.Process(server.pid)
        finally:
            server.terminate()


def addresses(record: Record, asked: argparse.Namespace) -> list[tuple[str, str]]:
    """What is asked for, (kind, path) in turn: half of the papers have runs, searches are of every sort."""
    rng = np.random.default_rng(asked.seed + 1)
    words = Words(np.random.default_rng(asked.seed))
    total = int(asked.rate * asked.seconds)
    every = record.papers(limit=2000)
    with_runs = measured(asked.papers, asked.runs)
    found = queries(total // 3 + 1, words, [paper.title for paper in every[:1000]], rng)
    paths = []
    for number in range(total):
        kind = KINDS[number % 3]
        if kind == "today":
            paths.append((kind, "/" if number % 2 else "/?lang=ko"))
        elif kind == "paper":
            pool = with_runs if number % 2 else [one.id for one in every]
            paths.append((kind, f"/papers/{pool[int(rng.integers(len(pool)))]}"))
        else:
            query, family = found[number // 3]
            paths.append((kind, f"/search?q={query}" + (f"&family={family}" if family else "")))
    return paths


async def ask(url: str, paths: list[tuple[str, str]], rate: float) -> dict[str, object]:
    """Ask for every path at its time; milliseconds by kind, and what went wrong."""
    import httpx

    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    errors: list[str] = []
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as client:
        for _, path in paths[:6]:
            await client.get(path)
        began = time.perf_counter() + 0.2

        async def one(number: int, kind: str, path: str) -> None:
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            try:
                answer = await client.get(path)
                if answer.status_code != 200:
                    errors.append(f"{answer.status_code} {path}")
            except httpx.HTTPError as error:
                errors.append(f"{type(error).__name__} {path}")
            took[kind].append((time.perf_counter() - due) * 1e3)

        await asyncio.gather(*(one(number, kind, path) for number, (kind, path) in enumerate(paths)))
    return {"took": took, "errors": errors}


def first_page(url: str) -> tuple[int, int]:
    """Bytes of the front page with its style and scripts: as sent (gzip), and unpacked."""
    import re

    import httpx

    sent = whole = 0
    with httpx.Client(base_url=url, timeout=60) as client:
        text = client.get("/").text
        for path in ["/", *re.findall(r'(?:src|href)="(/assets/[^"]+\.(?:css|js|svg))"', text)]:
            answer = client.get(path)
            sent, whole = sent + answer.num_bytes_downloaded, whole + len(answer.content)
    return sent, whole


def load(record: str, asked: argparse.Namespace, folder: Path) -> None:
    """Serve the record, ask from another process, and print what it took."""
    with Record.open(record) as opened:
        (folder / "paths.json").write_text(json.dumps(addresses(opened, asked)), encoding="utf-8")
    with served(record) as (url, process):
        first_page(url)  # what is loaded at the first request is no request's time
        before = sum(process.cpu_times()[:2])
        command = [sys.executable, __file__, "--client", url, "--rate", str(asked.rate)]
        out = subprocess.run(
            [*command, "--paths", str(folder / "paths.json")], check=True, capture_output=True, text=True
        )
        spent = sum(process.cpu_times()[:2]) - before
        sent, whole = first_page(url)
    told = json.loads(out.stdout)
    every = [one for times in told["took"].values() for one in times]
    for kind, times in [*told["took"].items(), ("all", every)]:
        p50, p95, p99 = np.percentile(times, [50, 95, 99])
        print(
            f"{kind}: {len(times)} requests at {asked.rate:g}/s: p50 {p50:.1f} ms, p95 {p95:.1f} ms, "
            f"p99 {p99:.1f} ms, worst {max(times):.1f} ms"
        )
    print(f"the server's processor time: {spent / max(len(every), 1) * 1e3:.1f} ms a request")
    print(f"errors: {len(told['errors'])} {' '.join(told['errors'][:5])}")
    print(f"first page without pictures: {sent / 1e3:.1f} KB sent, {whole / 1e3:.1f} KB unpacked")


def export(count: int, runs: int, seed: int, folder: Path) -> None:
    """Time the export of a record of `count` papers."""
    from sillok.web import export as write

    with Record.open(folder / "small.sqlite") as record:
        fill(record, count, runs, seed)
        began = time.perf_counter()
        files = write(folder / "site", record, url="https://example.org")
        print(f"export of {count:,} papers: {time.perf_counter() - began:.1f} s, {files:,} files")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--papers", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--export", type=int, default=1000)
    parser.add_argument("--record", default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--client", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--paths", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.client:
        paths = json.loads(Path(asked.paths).read_text(encoding="utf-8"))
        print(json.dumps(asyncio.run(ask(asked.client, paths, asked.rate))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.seconds:
            record = place(asked.record, asked.papers, asked.runs, asked.seed)
            print(f"load before: {os.getloadavg()[0]:.2f}", flush=True)
            load(record, asked, folder)
            print(f"load after: {os.getloadavg()[0]:.2f}", flush=True)
        if asked.export:
            export(asked.export, asked.export // 2, asked.seed, folder)


if __name__ == "__main__":
    main()
