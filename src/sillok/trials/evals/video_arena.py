"""Ratings of VideoAutoArena on battles between systems of known strength, beside the online Elo update."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from inspect_ai import eval
from inspect_ai.model import Model
from scipy.stats import spearmanr

from sillok.methods.evals.arena import Battle, arena_win_rate, bradley_terry, expected_score, online_elo
from sillok.methods.evals.benchmark import result_of_log
from sillok.methods.evals.boards import Leaderboard
from sillok.methods.evals.video_arena import arena_generate, enter, judged, video_auto_arena
from sillok.testbeds.sim_model import simulated_model
from sillok.verify import Measure, Paired, Run, Truth, trial

#: Battles of one measurement; the authors let a new system fight 1,500.
SIZES = (500, 1500, 5000)
#: The system that is taken out and enters anew, of middling strength among close rivals.
ENTERING = "Qwen2-VL-7B"
#: Replies of a judge that says nothing but its verdict, in the published form.
VERDICTS = tuple(f"[Overall Judge]\n{winner}" for winner in ("A", "B", "Tie"))


def strengths() -> dict[str, float]:
    """True ratings of the simulated systems: those of the published board, so that gaps are like its gaps."""
    return {row.system: row.figures["elo"] for row in Leaderboard.load("video_auto_arena", "1").rows}


def rate(run: Run, battles: list[Battle]) -> dict[str, float]:
    """The arm's ratings, around 1,000; the fault gives every victory to the side that lost."""
    if run.fault:
        battles = [Battle(a, b, {"A": "B", "B": "A", "tie": "tie"}[w]) for a, b, w in battles]
    if run.arm == "elo":
        return online_elo(battles)
    if run.arm == "win_rate":
        return arena_win_rate(battles)
    return bradley_terry(battles)


def agreement(found: Mapping[str, float], true: Mapping[str, float]) -> tuple[float, float]:
    """Spearman's rank correlation with the true ratings, and the root mean square error in points."""
    names = [name for name in true if name in found]
    ours, theirs = (np.array([table[name] for name in names]) for table in (found, true))
    return float(spearmanr(ours, theirs).statistic), float(np.sqrt(np.mean((ours - theirs) ** 2)))


def recover(run: Run, sizes: tuple[int, ...]) -> dict[str, float]:
    """Ranks and errors by number of battles, with and without ties and position bias."""
    true, measured = strengths(), {}
    for ties in (0.0, 0.1, 0.3):
        errors = []
        for n in sizes:
            fought = judged(arena_generate(true, n, run.subseed(f"{ties}/{n}"), ties=ties))
            rank, error = agreement(rate(run, fought), true)
            tail = f"_{n}" if not ties else f"_{n}_ties{100 * ties:.0f}"
            measured |= {f"rank{tail}": rank, f"error{tail}": error}
            errors.append(error)
        if run.arm != "win_rate":
            label = {"x_label": "battles", "y_label": "rating error, points"}
            run.curve(
                "rating error", list(sizes), errors, log="x", series=f"{100 * ties:.0f} % ties", **label
            )
    fought = judged(arena_generate(true, sizes[1], run.subseed("bias"), position_bias=0.1))
    measured["rank_biased"], measured["error_biased"] = agreement(rate(run, fought), true)
    if run.arm == "win_rate":  # shares of victories order systems, and are no points
        return {name: value for name, value in measured.items() if name.startswith("rank")}
    return measured


def newcomer(run: Run, n: int) -> dict[str, float]:
    """Places by which a system misses its own when it enters by replacing a side of old battles."""
    true = strengths()
    others = {name: rating for name, rating in true.items() if name != ENTERING}
    old = arena_generate(others, n, run.subseed("old"))
    rng = run.rng("verdicts")
    fought = []
    for record in enter(old, ENTERING, n=min(1500, n), seed=run.subseed("enter")):
        a, b = record["model a"], record["model b"]
        fought.append(Battle(a, b, "A" if rng.random() < expected_score(true, a, b) else "B"))
    found = rate(run, judged(old) + fought)
    order, wanted = sorted(found, key=lambda name: -found[name]), sorted(true, key=lambda name: -true[name])
    return {
        "misplaced": abs(order.index(ENTERING) - wanted.index(ENTERING)) if ENTERING in order else math.inf
    }


def through_inspect(run: Run, battles: int, entered: int) -> dict[str, float]:
    """The task that a user calls: a simulated model fights, a simulated judge decides, Sillok places."""
    skills = {"weak": 0.25, "middling": 0.5, "strong": 0.75}
    seed = run.subseed("inspect") % 2**31
    old = arena_generate(dict.fromkeys(skills, 1000.0), battles, seed, answers=skills)
    judge = _judge(seed)
    rng = run.rng("old judgements")
    for (
        record
    ) in old:  # the old battles are judged by the same rates: right beats wrong with 0.9, else a coin
        right = [record[f"model {side} answer"].endswith("right") for side in "ab"]
        wins = 0.5 if right[0] == right[1] else 0.9 if right[0] else 0.1
        record["Overall Judge"] = "A" if rng.random() < wins else "B"
        record["GPT4o Judge response"] = f"[Overall Judge]\n{record['Overall Judge']}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "battles.json"
        path.write_text(json.dumps(old), encoding="utf-8")
        task = video_auto_arena(str(path), candidate="candidate", n_battles=entered, seed=seed)
        [log] = eval(
            task,
            model=simulated_model(0.5, 0.9, seed=seed),
            model_roles={"grader": judge},
            display="none",
            log_level="error",
            log_dir=folder,
            log_realtime=False,
            max_samples=entered,
        )
        if log.status != "success":
            raise RuntimeError(f"Inspect ended with {log.status}: {log.error.message if log.error else ''}")
        result = result_of_log(log)
    fought = judged(old) + [
        Battle(i.values["a"], i.values["b"], i.values["winner"]) for i in result.items if i.answer
    ]
    found = rate(run, fought)
    run.note(f"through Inspect: {result}")
    gap = found["candidate"] - found["middling"]
    low, high = found["candidate"] - found["weak"], found["strong"] - found["candidate"]
    measured = {"between": float(low > 0 and high > 0), "judged": len(result.items) / entered}
    return measured if run.arm == "win_rate" else measured | {"twin_gap": abs(gap)}


def _judge(seed: int) -> Model:
    return simulated_model(0.5, 0.9, seed=seed + 1, verdicts=VERDICTS)


RANK, ERROR = "Spearman's correlation with the true strengths", "root mean square error of ratings"
_MEASURES = {
    **{f"rank_{n}": Measure("", "higher", text=f"{RANK}, {n:,} battles without ties") for n in SIZES},
    **{f"error_{n}": Measure("points", "lower", text=f"{ERROR}, {n:,} battles without ties") for n in SIZES},
    **{
        f"{what}_{n}_ties{share}": Measure(unit, better, text=f"{text}, {n:,} battles, {share} % random ties")
        for what, unit, better, text in (("rank", "", "higher", RANK), ("error", "points", "lower", ERROR))
        for n in SIZES
        for share in (10, 30)
    },
    "rank_biased": Measure(
        "", "higher", text=f"{RANK}; the judge favours the first side by 0.1, sides at random"
    ),
    "error_biased": Measure("points", "lower", text=f"{ERROR}, with that judge"),
    "misplaced": Measure(
        "places", "lower", text="a system that enters by replaced battles, from its true place"
    ),
    "twin_gap": Measure(
        "points", "lower", text="through Inspect: a model and its twin among the old systems, apart"
    ),
    "between": Measure(
        "", "higher", text="through Inspect: 1 if the model is rated between weaker and stronger"
    ),
    "judged": Measure("share", "higher", text="through Inspect: battles whose verdict was read"),
}


@trial(
    paper="2411.13281",
    claim="ratings",
    arms=("elo", "bradley_terry", "win_rate"),
    peers=("win_rate",),
    measures=_MEASURES,
    minutes={"smoke": 0.6, "here": 4},
    needs=("evals",),
    fault="every victory is given to the side that lost",
    memory_gb=3.0,
)
def ratings(run: Run) -> dict[str, float]:
    """Strengths recovered from simulated battles, by number of battles, ties and judge's bias; and the real task."""
    measured = recover(run, SIZES)
    run.progress(1, 3)
    measured |= newcomer(run, run.pick(smoke=2000, here=5000))
    run.progress(2, 3)
    return measured | through_inspect(run, run.pick(smoke=80, here=1500), run.pick(smoke=16, here=300))


@ratings.upheld_if
def _(paired: Paired) -> Truth:
    rank, places = paired.values("rank_1500"), paired.values("misplaced")
    few, some, many = (paired.values(f"error_{n}") for n in SIZES)
    tied, untied = paired.values("rank_5000_ties30"), paired.values("error_5000_ties30")
    return (
        paired.every("Spearman at 1,500 battles >= 0.95", lambda i: rank[i] >= 0.95)
        & paired.over_seeds(some / few, "error at 1,500 battles / at 500").below(1)
        & paired.over_seeds(many / some, "error at 5,000 battles / at 1,500").below(1)
        & paired.every("with 30 % ties, Spearman at 5,000 battles >= 0.95", lambda i: tied[i] >= 0.95)
        & paired.over_seeds(untied / many, "error at 5,000 battles, 30 % ties / none").above(1)
        & paired.every("the newcomer lands within one place", lambda i: places[i] <= 1)
        & paired.ratio("error_5000").below(1)
    )
