"""Time the site over a large record, served by one worker: p50 and p95 of Today, Paper and Search, errors, sizes.

python benchmarks/site.py [--papers 200000] [--runs 100000] [--rate 50] [--seconds 120] [--export 1000]
    [--record PATH] [--seed 0]

The record is built where it is missing (some minutes, 2 GB) and kept where `--record` names one. Readers ask at a
fixed rate from a process of their own, whether the last answer has come or not, and wait from the moment at which
they should have asked. The export is that of another record with `--export` papers.
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
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from search import Words, papers, queries

from sillok.record import Machine, Record, StoredPaper, StoredRun, StoredVerdict, run_id
from sillok.record.runs import add_run, add_verdict

KINDS = ("today", "paper", "search")
EACH = 20  # runs of a measured paper: two arms, ten seeds
TRIAL = "sillok.trials.invented.speed"
START = datetime(2026, 1, 1, tzinfo=UTC)


def a_run(paper: str, number: int, place: int) -> StoredRun:
    """Run `number` of a paper: arms by turn, seeds upwards."""
    arm, seed = ("baseline", "method")[number % 2], number // 2
    machine = f"m{place % 4}"
    return StoredRun(
        id=run_id(f"{TRIAL}.{paper}", 1, arm, seed, "here", "trial", machine, 1),
        paper=paper,
        claim="speed",
        trial=f"{TRIAL}.p{place % 50}",
        version=1,
        arm=arm,
        seed=seed,
        scale="here",
        mode="trial",
        state="done",
        measures={"seconds": (2.0 if arm == "baseline" else 1.2) + seed / 50, "loss": 0.5 + seed / 100},
        units={"seconds": "s", "loss": "nats"},
        curves=[],
        fingerprint={"python": "3.11.7", "torch": "2.13", "commit": "0" * 40, "device": "cpu"},
        reason=None,
        log="a line of a log\n" * 20,
        started=START + timedelta(seconds=place * EACH + number),
        seconds=12.5,
        machine=machine,
    )


def a_verdict(paper: str, place: int) -> StoredVerdict:
    """The verdict on a measured paper: each kind in its turn."""
    return StoredVerdict(
        paper=paper,
        claim="speed",
        trial=f"{TRIAL}.p{place % 50}",
        version=1,
        scale="here",
        mode="trial",
        machine=f"m{place % 4}",
        verdict=("upheld", "not upheld", "inconclusive")[place % 3],
        reason="seconds, method / baseline = 0.6 [0.58, 0.62] < 0.8: yes",
        intervals={"seconds, method / baseline": {"low": 0.58, "mean": 0.6, "high": 0.62, "level": 0.95}},
        seeds=list(range(EACH // 2)),
        declaration={
            "title": "Faster at the same loss.",
            "arms": ["baseline", "method"],
            "peers": [],
            "measures": {
                "seconds": {"unit": "s", "better": "lower", "text": ""},
                "loss": {"unit": "nats", "better": "lower", "text": ""},
            },
            "needs": {"here": []},
            "fault": "the method is left out",
            "interleave": None,
        },
        decided=START + timedelta(seconds=(place + 1) * EACH),
    )


def fill(record: Record, count: int, runs: int, seed: int) -> None:
    """Papers, runs with their verdicts on some of them, and a digest of 20 entries for each of 1,000 days."""
    rng = np.random.default_rng(seed)
    words = Words(rng)
    record.add_papers(papers(count, words, rng))
    for number in range(4):
        record.add_machine(Machine(id=f"m{number}", data={"id": f"m{number}", "name": f"Machine {number}"}))
    measured = measured_papers(record, count, runs)
    with record._writing() as connection:
        for place, paper in enumerate(measured):
            for number in range(EACH):
                add_run(connection, a_run(paper, number, place))
            add_verdict(connection, a_verdict(paper, place))
    listed = record.papers(limit=min(count, 20_000))
    for day in range(min(1000, max(1, len(listed) // 20))):
        inside = listed[day * 20 : day * 20 + 20]
        date = str((START - timedelta(days=day)).date())
        record.add_digest(date, f"{date}.md", f"digest of {date}", [entry(one) for one in inside])


def entry(paper: StoredPaper) -> dict[str, object]:
    """A paper as a digest lists it."""
    return {
        "paper": paper.id,
        "title": paper.title,
        "votes": len(paper.title),
        "authors": list(paper.authors),
        "sections": [{"name": "What's New", "text": paper.summaries["ko"]}],
    }


def measured_papers(record: Record, count: int, runs: int) -> list[str]:
    """The papers that have runs, spread over the years."""
    every = record.papers(limit=count)
    wanted = max(1, min(len(every), runs // EACH))
    return [one.id for one in every[:: max(1, len(every) // wanted)][:wanted]]


@contextmanager
def served(record: str) -> Iterator[str]:
    """The address of the site, served by a process of its own with one worker."""
    command = [sys.executable, "-m", "sillok.cli", "serve", "--port", "0", "--record", record]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip().rstrip("/")
        finally:
            server.terminate()


def addresses(record: Record, asked: argparse.Namespace) -> list[tuple[str, str]]:
    """What is asked for, (kind, path) in turn: half of the papers have runs, searches are of every sort."""
    rng = np.random.default_rng(asked.seed + 1)
    words = Words(np.random.default_rng(asked.seed))
    total = int(asked.rate * asked.seconds)
    every = record.papers(limit=min(asked.papers, 20_000))
    measured = measured_papers(record, min(asked.papers, 20_000), asked.runs)
    with_runs = [row.paper for row in record.verdicts(mode="trial", limit=2000)] or measured
    found = queries(total // 3 + 1, words, [paper.title for paper in every[:1000]], rng)
    paths = []
    for number in range(total):
        kind = KINDS[number % 3]
        if kind == "today":
            paths.append((kind, "/" if number % 2 else "/?lang=ko"))
        elif kind == "paper":
            pool = with_runs if number % 2 else [one.id for one in every[:2000]]
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
    with served(record) as url:
        command = [sys.executable, __file__, "--client", url, "--rate", str(asked.rate)]
        out = subprocess.run(
            [*command, "--paths", str(folder / "paths.json")], check=True, capture_output=True, text=True
        )
        sent, whole = first_page(url)
    told = json.loads(out.stdout)
    every = [one for times in told["took"].values() for one in times]
    for kind, times in [*told["took"].items(), ("all", every)]:
        p50, p95, p99 = np.percentile(times, [50, 95, 99])
        print(
            f"{kind}: {len(times)} requests at {asked.rate:g}/s: p50 {p50:.1f} ms, p95 {p95:.1f} ms, "
            f"p99 {p99:.1f} ms, worst {max(times):.1f} ms"
        )
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
        place = asked.record or str(folder / "record.sqlite")
        with Record.open(place) as record:
            if not record.papers(limit=1):
                began = time.perf_counter()
                fill(record, asked.papers, asked.runs, asked.seed)
                print(
                    f"built {asked.papers:,} papers and {asked.runs:,} runs in {time.perf_counter() - began:.0f} s"
                )
        if asked.seconds:
            print(f"load before: {os.getloadavg()[0]:.2f}", flush=True)
            load(place, asked, folder)
        if asked.export:
            export(asked.export, asked.export // 2, asked.seed, folder)


if __name__ == "__main__":
    main()
