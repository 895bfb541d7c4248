"""Failure of the knockout tournament against its exact law, beside majority voting at equal model calls."""

from __future__ import annotations

import math
import tempfile
from itertools import product

import numpy as np
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import Model
from inspect_ai.scorer import answer
from inspect_ai.solver import Solver

from sillok.methods.search.knockout import knockout, league
from sillok.methods.search.pairwise import Comparison, pairwise
from sillok.methods.search.rates import decay_exponent, knockout_bound, knockout_exact
from sillok.methods.search.voting import majority_vote
from sillok.testbeds.sim_model import simulated_model
from sillok.trials.search.tournaments import (
    draw,
    failure,
    knockout_winners,
    league_winners,
    majority_winners,
    preference_table,
)
from sillok.verify import Measure, Paired, Run, Truth, trial

SIGMAS = 3.0
# The case in which majority voting must fail at last: the right answer is a little rarer than one wrong one.
RIGHT_45 = [0.45, 0.46, 0.05, 0.04]
# Right beats A nearly always, A beats B hardly, B beats right mostly: a cycle. Right has the best mean (0.68).
CYCLE_SHARES = [0.2, 0.6, 0.2]
CYCLE = np.array([[0.5, 0.9, 0.2], [0.1, 0.5, 0.55], [0.8, 0.45, 0.5]])
MANY, LEAGUE_M = 1024, 16


def calls(n: int, k: int) -> int:
    """Model calls of a knockout tournament; majority voting gets as many samples."""
    return n + k * (n - 1)


def play(run: Run, shares: list[float], table: np.ndarray, n: int, k: int, tournaments: int) -> float:
    """Failure rate of the run's arm in many tournaments of one setting."""
    rng = run.rng(f"{shares}/{table.tolist()}/{n}/{k}")
    if run.arm == "majority":
        return failure(majority_winners(shares, tournaments, calls(n, k), rng))
    answers = draw(shares, tournaments, n, rng)
    if run.arm == "league" and n > 1:
        return failure(league_winners(answers, table, k, min(LEAGUE_M, n - 1), rng))
    return failure(knockout_winners(answers, table, k, rng, loser=run.fault))


def grid(run: Run, tournaments: int, sizes: tuple[int, ...]) -> dict[str, float]:
    """Agreement with the recursion and the bound over all cells, and the fitted power of N."""
    close, over, cells = 0, 0, 0
    rates: dict[tuple[float, float, int, int], float] = {}
    settings = list(product((0.05, 0.2, 0.5), (0.55, 0.7, 0.9), (1, 2, 4, 8)))
    for done, (p_gen, p_comp, k) in enumerate(settings):
        for n in sizes:
            measured = play(run, [p_gen, 1 - p_gen], preference_table(p_comp), n, k, tournaments)
            exact = knockout_exact(p_gen, p_comp, n, k)
            close += abs(measured - exact) < SIGMAS * math.sqrt(exact * (1 - exact) / tournaments)
            over += measured > knockout_bound(p_gen, p_comp, n, k)
            cells += 1
            rates[p_gen, p_comp, n, k] = measured
        run.progress(done, 2 * len(settings))
    for k in (2, 8):
        ours = [rates[0.2, 0.7, n, k] for n in sizes]
        _curve(run, "failure", sizes, ours, f"measured, K={k}")
        if run.arm == "knockout":
            _curve(run, "failure", sizes, [knockout_exact(0.2, 0.7, n, k) for n in sizes], f"exact, K={k}")
            _curve(run, "failure", sizes, [knockout_bound(0.2, 0.7, n, k) for n in sizes], f"bound, K={k}")
    tail = [n for n in sizes if n >= 4]
    slope = np.polyfit(np.log(tail), np.log([rates[0.5, 0.7, n, 2] for n in tail]), 1)[0]
    run.note(f"power of N: fitted {-slope:.3f}, in the limit {decay_exponent(0.7, 2):.3f} (p_comp 0.7, K=2)")
    return {"agreement": close / cells, "violations": over, "exponent": -float(slope)}


def _curve(run: Run, name: str, x: tuple[int, ...], y: list[float], series: str) -> None:
    points = [(a, b) for a, b in zip(x, y, strict=True) if b > 0]  # a logarithmic axis has no 0
    label = {"x_label": "candidates N (majority: as many calls)", "y_label": "failure rate"}
    run.curve(name, [a for a, _ in points], [b for _, b in points], log="xy", series=series, **label)


def close_race(run: Run, tournaments: int) -> dict[str, float]:
    """The case of 45 % right against 46 % of one wrong answer, from a single sample to many."""
    sizes = (1, 4, 16, 64, 256, MANY)
    table = preference_table(0.7, len(RIGHT_45))
    rates = [play(run, RIGHT_45, table, n, 2, 20_000 if n == 1 else tournaments) for n in sizes]
    _curve(run, "45 % right, 46 % one wrong answer", sizes, rates, "K=2")
    measured = {"one": rates[0], "many": rates[-1]}
    if run.arm == "majority":
        same = majority_winners(RIGHT_45, tournaments, MANY, run.rng("same N"))
        measured["many_same_n"] = failure(same)
    return measured


def broken_assumptions(run: Run, tournaments: int) -> dict[str, float]:
    """What becomes of the knockout where its assumptions do not hold; the law's figure stands beside it."""
    n, shares = 64, [0.2, 0.8]
    answers = draw(shares, tournaments, n, run.rng("violations"))

    def rate(p_comp: float, k: int, **judge: float | bool) -> float:
        table, rng = preference_table(p_comp), run.rng(f"violations/{p_comp}/{k}/{sorted(judge.items())}")
        return failure(knockout_winners(answers, table, k, rng, loser=run.fault, **judge))

    return {
        "dependent": rate(0.7, 8, dependence=0.8),
        "dependent_law": knockout_exact(0.2, 0.7, n, 8),
        "mixed": (rate(0.9, 8) + rate(0.4, 8)) / 2,
        "mixed_law": knockout_exact(0.2, 0.65, n, 8),
        "swapped": rate(0.6, 8, bias=0.3),
        "unswapped": rate(0.6, 8, bias=0.3, swap=False),
    }


async def upside_down(question: str, a: str, b: str, /, *, k: int, judge: Model) -> Comparison:
    """The planted fault: the wins of a comparison go to the loser."""
    found = await pairwise(question, a, b, k=k, judge=judge)
    return Comparison(found.wins_b, found.wins_a, tuple(1 - v for v in found.verdicts), found.unparsable)


def real_solver(run: Run, questions: int) -> dict[str, float]:
    """The solver that a user calls, run by Inspect on the close race: N=8, K=2, p_comp=0.9."""
    n, k, p_comp = 8, 2, 0.9
    seed = run.subseed("solver")
    wrong = dict(zip("BCD", RIGHT_45[1:], strict=True))
    model = simulated_model(RIGHT_45[0], p_comp, right="A", wrong_answers=wrong, seed=seed)
    solvers: dict[str, Solver] = {
        "majority": majority_vote(n=calls(n, k), seed=seed),
        "knockout": knockout(n=n, k=k, compare=upside_down if run.fault else None, seed=seed),
        "league": league(n=n, k=k, m=1, seed=seed),
    }
    samples = [Sample(input=f"Question {i}: A, B, C or D?", target="A", id=i) for i in range(questions)]
    task = Task(dataset=samples, solver=solvers[run.arm], scorer=answer("word"))
    with tempfile.TemporaryDirectory() as folder:
        [log] = eval(
            task,
            model=model,
            display="none",
            log_level="error",
            log_dir=folder,
            log_realtime=False,
            max_samples=questions,
        )
    if log.status != "success" or log.results is None:
        raise RuntimeError(f"Inspect ended with {log.status}: {log.error.message if log.error else ''}")
    measured = 1 - log.results.scores[0].metrics["accuracy"].value
    exact = knockout_exact(RIGHT_45[0], p_comp, n, k)
    gap = abs(measured - exact) / math.sqrt(exact * (1 - exact) / questions)
    run.note(f"Inspect, {questions} questions: failure {measured:.3f}, knockout's law {exact:.3f}")
    return {"solver_failure": measured, "solver_gap": gap}


@trial(
    paper="2411.19477",
    claim="scaling",
    arms=("majority", "knockout", "league"),
    peers=("league",),
    measures={
        "agreement": Measure(
            "share", "higher", text="cells less than three standard errors from the exact law of the knockout"
        ),
        "violations": Measure("cells", "lower", text="cells whose failure rate is above the paper's bound"),
        "exponent": Measure(
            "", "higher", text="failure falls as this power of N, at p_gen 0.5, p_comp 0.7, K=2"
        ),
        "one": Measure("failure rate", "lower", text="a single sample, right with 45 %"),
        "many": Measure(
            "failure rate", "lower", text="the same with N=1,024, K=2; majority voting: as many calls"
        ),
        "many_same_n": Measure("failure rate", "lower", text="majority voting over 1,024 samples"),
        "solver_failure": Measure(
            "failure rate", "lower", text="the Inspect solver itself: 45 % right, p_comp 0.9, N=8, K=2"
        ),
        "solver_gap": Measure("standard errors", "lower", text="solver's failure rate from the exact law"),
        "cycle": Measure(
            "failure rate", "lower", text="right wins on average, yet loses to one wrong answer: N=1,024, K=2"
        ),
        "dependent": Measure(
            "failure rate", "lower", text="four comparisons of five repeat their pair's outcome: K=8, N=64"
        ),
        "dependent_law": Measure("failure rate", text="what the law says there, taking them as independent"),
        "mixed": Measure(
            "failure rate", "lower", text="half of the questions have p_comp 0.9, half 0.4: K=8, N=64"
        ),
        "mixed_law": Measure("failure rate", text="what the law says there from the average p_comp 0.65"),
        "swapped": Measure(
            "failure rate", "lower", text="judge favours the first shown by 0.3: half swapped"
        ),
        "unswapped": Measure("failure rate", "lower", text="the same judge, orders never swapped"),
    },
    minutes={"smoke": 0.4, "here": 1.5},
    seeds={"smoke": 3, "here": 5},
    needs=("search",),
    fault="the loser of a pair advances",
    memory_gb=3.0,
)
def scaling(run: Run) -> dict[str, float]:
    """Failure rate by number of candidates: 216 cells of simulated tournaments, and the real solver in one."""
    measured: dict[str, float] = {}
    if run.arm != "league":
        sizes = run.pick(smoke=(2, 4, 8, 16), here=(2, 4, 8, 16, 32, 64))
        measured |= grid(run, run.pick(smoke=500, here=20_000), sizes)
    few = run.pick(smoke=100, here=1000)
    measured |= close_race(run, 20_000 if run.arm == "majority" else few)
    measured["cycle"] = play(run, CYCLE_SHARES, CYCLE, MANY, 2, 20_000 if run.arm == "majority" else few)
    if run.arm == "knockout":
        measured |= broken_assumptions(run, run.pick(smoke=500, here=10_000))
    return measured | real_solver(run, run.pick(smoke=12, here=80))


@scaling.upheld_if
def _(paired: Paired) -> Truth:
    # The cells of all seeds are one sample: the hundredth part of them is the allowance for chance already, and
    # a bootstrap bound on top would miss a law that holds exactly in one verdict of eight.
    agreement = paired.mean("agreement")
    law = agreement.mean >= 0.99
    agreement.asked.append(f"{agreement.mean:.4f} of all cells >= 0.99: {'yes' if law else 'no'}")
    above = paired.values("violations")
    majority, ours = paired.baseline, paired.arms[1]
    change = {
        arm: paired.over_seeds(
            paired.values("many", arm) - paired.values("one", arm), f"failure at 1,024 - at 1, {arm}"
        )
        for arm in (majority, ours)
    }
    return (
        Truth.of(law)
        & paired.every("no cell above the bound", lambda i: above[i] == 0)
        & change[majority].above(0)
        & change[ours].below(0)
        & paired.mean("solver_gap").at_most(SIGMAS)
        & paired.difference("solver_failure").below(0)
    )
