"""How long 10,000 predictions of each benchmark take to score, and the authors' scripts on the same cases.

``python benchmarks/evals.py [SLUG=CHECKOUT ...]``: with a checkout of an authors' repository their script is timed on
generated cases beside Sillok's scorer (theirs with the start of its process). The first is wanted under 60 s and 1 GB.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sillok.methods.evals import parity
from sillok.methods.evals.geometry import TASKS, geometry_generate
from sillok.methods.evals.lcite_generate import fact_qa, reply_with, stated
from sillok.methods.evals.lciteeval import lcite_score
from sillok.methods.evals.prm_generate import prm_generate
from sillok.methods.evals.prmbench import labels_by, load_records, prm_score
from sillok.methods.evals.video_arena import OVERALL, VideoAutoArena, arena_generate, battle_id
from sillok.methods.evals.visonlyqa import visonlyqa_score

N = 10_000


def visonlyqa() -> Callable[[], Any]:
    """Short replies, half of them for the extractor."""
    made = [r for task in TASKS for r in geometry_generate(20, 0, task, pixels=16)]
    records = [{**made[at % len(made)], "id": str(at)} for at in range(N)]
    replies = {r["id"]: f"({r['answer']})" if int(r["id"]) % 2 else "either (a) or (b)" for r in records}
    return lambda: visonlyqa_score(
        records, replies, lambda reply, record: record["answer"], version="synthetic"
    )


def prmbench() -> Callable[[], Any]:
    """Labels of solutions of some seven steps."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in prm_generate(1000, 0)), encoding="utf-8")
        records = load_records(path)[:N]
    labels = labels_by(lambda question, steps: [1.0] * len(steps), records)
    return lambda: prm_score(records, labels)


def l_citeeval() -> Callable[[], Any]:
    """Three sentences with a citation each, over fifty passages; entailment by looking words up."""
    records = [fact_qa(50, seed, filler=("Nothing of note. " * 15,)) for seed in range(N)]
    replies = {r["id"]: reply_with(r, [[at, 0] for at in r["gold"]]) for r in records}
    return lambda: lcite_score(records, replies, stated)


def video_auto_arena() -> Callable[[], Any]:
    """Judgements of battles between eleven systems."""
    battles = arena_generate({f"S{i}": 800.0 + 40 * i for i in range(11)}, N, 0)
    replies = {battle_id(b): f"[Accuracy]\nlong words\n[{OVERALL}]\n{b[OVERALL]}" for b in battles}
    return lambda: VideoAutoArena().score(battles, replies)


def main(arguments: list[str]) -> None:
    """Print both tables."""
    for make in (visonlyqa, prmbench, l_citeeval, video_auto_arena):
        score = make()
        began = time.process_time()
        result = score()
        seconds = time.process_time() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        said = f"{result.counts.predicted:6,d} predictions {seconds:6.2f} s CPU, {memory:.2f} GB so far"
        print(f"{make.__name__:18s} {said}")
    for argument in arguments:
        slug, _, checkout = argument.partition("=")
        make_cases, score_case = parity._functions(slug)
        cases = make_cases(0, 300)
        began = time.perf_counter()
        parity.run_authors(slug, checkout, cases)
        theirs = time.perf_counter() - began
        began = time.perf_counter()
        for case in cases:
            score_case(case)
        ours = time.perf_counter() - began
        ratio = f"{theirs / ours:.1f} times"
        print(f"{slug:18s} 300 cases: {ours:.2f} s here, {theirs:.2f} s theirs with its imports, {ratio}")


if __name__ == "__main__":
    main(sys.argv[1:])
