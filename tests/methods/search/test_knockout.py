"""Knockout, league and majority voting as real Inspect evaluations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from inspect_ai.dataset import Sample
from inspect_ai.event import ModelEvent
from inspect_ai.log import resolve_sample_attachments
from inspect_ai.model import Model
from inspect_ai.scorer import choice
from inspect_ai.solver import chain, generate, prompt_template

from sillok.methods.search.knockout import fixtures, knockout, league, pair_up
from sillok.methods.search.pairwise import Comparison
from sillok.methods.search.sampling import STORE
from sillok.methods.search.voting import majority_vote
from sillok.testbeds.sim_model import simulated_model
from sillok.trials.search import tournaments as numpy_


def _accuracy(log) -> float:
    return log.results.scores[0].metrics["accuracy"].value


def _records(log) -> list[dict]:
    return [sample.store[STORE] for sample in log.samples]


def test_one_candidate_is_returned_as_it_is(evaluate) -> None:
    log = evaluate(knockout(n=1), simulated_model(0.5, 1.0, seed=1), 6)
    for sample in log.samples:
        calls = [event for event in sample.events if isinstance(event, ModelEvent)]
        assert len(calls) == 1
        assert sample.output.completion == calls[0].output.completion
    assert 0 < _accuracy(log) < 1


@pytest.mark.parametrize("n", range(1, 71))
def test_any_number_of_candidates_takes_one_pair_less(n: int) -> None:
    field, pairs, rounds = list(range(n)), 0, 0
    while len(field) > 1:
        met, alone = pair_up(field)
        assert sorted(i for pair in met for i in pair) + alone == sorted(field) or alone
        pairs, rounds, field = pairs + len(met), rounds + 1, alone + [a for a, _ in met]
    assert pairs == n - 1
    assert rounds == (n - 1).bit_length()


@pytest.mark.parametrize(("n", "k"), [(2, 1), (5, 3), (8, 2)])
def test_calls_are_in_the_log_and_as_many_as_stated(evaluate, n: int, k: int) -> None:
    log = evaluate(knockout(n=n, k=k, early_stop=False), simulated_model(0.5, 0.8, seed=2), 2)
    for sample, record in zip(log.samples, _records(log), strict=True):
        calls = [event for event in sample.events if isinstance(event, ModelEvent)]
        assert len(calls) == record["calls"] == n + k * (n - 1)
        met = [m for meetings in record["rounds"] for m in meetings]
        assert len(met) == n - 1
        assert all(m["wins_a"] + m["wins_b"] == k for m in met)
        losers = {m["a"] + m["b"] - m["winner"] for m in met}
        assert losers == set(range(n)) - {record["winner"]}
        assert record["distinct"] == n


def test_who_wins_more_comparisons_advances(evaluate) -> None:
    log = evaluate(knockout(n=8, k=4, early_stop=False), simulated_model(0.5, 0.7, seed=3), 4)
    for record in _records(log):
        for m in (m for meetings in record["rounds"] for m in meetings):
            if m["wins_a"] != m["wins_b"]:
                assert m["winner"] == (m["a"] if m["wins_a"] > m["wins_b"] else m["b"])
        assert record["answers"][record["winner"]] in {"right", "wrong"}


def test_perfect_judge_finds_a_right_candidate_wherever_there_is_one(evaluate) -> None:
    log = evaluate(knockout(n=5, k=1), simulated_model(0.3, 1.0, seed=4), 20)
    for sample, record in zip(log.samples, _records(log), strict=True):
        assert record["answers"][record["winner"]] == ("right" if "right" in record["answers"] else "wrong")
        assert ("right" in sample.output.completion) == ("right" in record["answers"])


def test_early_stop_saves_calls_and_keeps_the_answer(evaluate) -> None:
    logs = [
        evaluate(knockout(n=8, k=2, early_stop=stop), simulated_model(0.6, 0.8, seed=5), 12)
        for stop in (True, False)
    ]
    early, late = (_records(log) for log in logs)
    assert [r["answers"][r["winner"]] for r in early] == [r["answers"][r["winner"]] for r in late]
    assert sum(r["calls"] for r in early) < sum(r["calls"] for r in late) == 12 * 22
    assert _accuracy(logs[0]) == _accuracy(logs[1])


def test_all_agreed_takes_no_comparison(evaluate) -> None:
    for solver in (knockout(n=6), league(n=6)):
        [record] = _records(evaluate(solver, simulated_model(1.0, 0.5)))
        assert (record["calls"], record["rounds"]) == (6, [])


def test_always_tied_is_a_fair_coin_and_unreadable_replies_are_counted(evaluate) -> None:
    log = evaluate(
        knockout(n=2, k=2, early_stop=False), simulated_model(0.5, 1.0, unparsable=1.0, seed=6), 24
    )
    met = [(r["rounds"][0][0], r) for r in _records(log)]
    assert all(m["wins_a"] == m["wins_b"] == 1 and r["unparsable"] == 2 for m, r in met)
    assert 4 <= sum(m["winner"] == m["a"] for m, _ in met) <= 20


def test_same_seed_repeats_and_another_differs(evaluate) -> None:
    def winners(seed: int) -> list[tuple[str, int]]:
        log = evaluate(knockout(n=4, k=1, seed=seed), simulated_model(0.5, 0.6, seed=seed), 5)
        return [(s.output.completion, s.store[STORE]["winner"]) for s in log.samples]

    assert winners(1) == winners(1) != winners(2)


def test_league_of_two_is_a_knockout_of_twice_k(evaluate) -> None:
    k = 3  # 2 k comparisons may tie: such questions are set aside
    ours = _records(evaluate(league(n=2, m=1, k=k), simulated_model(0.5, 0.7, seed=8), 24))
    theirs = _records(evaluate(knockout(n=2, k=2 * k), simulated_model(0.5, 0.7, seed=8), 24))
    compared = 0
    for one, other in zip(ours, theirs, strict=True):
        assert one["answers"] == other["answers"] and one["calls"] == other["calls"]
        if one["rounds"]:
            a, b = one["rounds"][0][0], other["rounds"][0][0]
            assert (a["wins_a"], a["wins_b"]) == (b["wins_a"], b["wins_b"])
            if a["wins_a"] != a["wins_b"]:
                assert one["winner"] == other["winner"]
                compared += 1
    assert compared >= 5


def test_fixtures_of_a_league() -> None:
    for n, m in ((2, 1), (5, 2), (6, 3), (7, 6)):
        met = fixtures(n, m)
        played = np.zeros(n)
        for (a, b), times in met.items():
            assert a < b
            played[[a, b]] += times
        assert (played == 2 * m).all()
    assert set(fixtures(5, 4).values()) == {2} and len(fixtures(5, 4)) == 10


def test_league_takes_the_highest_mean_win_rate(evaluate) -> None:
    log = evaluate(league(n=6, k=1, m=2, early_stop=False), simulated_model(0.5, 0.9, seed=9), 4)
    for record in _records(log):
        wins = np.zeros(6)
        for m in record["rounds"][0]:
            wins[m["a"]] += m["wins_a"]
            wins[m["b"]] += m["wins_b"]
        assert record["win_rates"] == pytest.approx(wins / 4)
        assert wins[record["winner"]] == wins.max()
        assert record["calls"] == 6 + 6 * 2


def test_judge_is_the_model_of_that_role(evaluate) -> None:
    wrong_judge = simulated_model(0.5, 0.0, seed=1)
    good_judge = simulated_model(0.5, 1.0, seed=1)
    for solver in (knockout(n=6, k=1), league(n=6, k=1)):
        log = evaluate(solver, wrong_judge, 6, model_roles={"judge": good_judge})
        assert all("right" in r["answers"] for r in _records(log))
        assert _accuracy(log) == 1
        assert _accuracy(evaluate(solver, wrong_judge, 6)) < 1
        roles = [e.role for s in log.samples for e in s.events if isinstance(e, ModelEvent)]
        assert roles.count("judge") == sum(r["calls"] - 6 for r in _records(log)) > 0


def test_a_cache_is_not_used(evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cached reply would make all candidates one, and all comparisons of a pair one."""
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    log = evaluate(knockout(n=6, k=4, early_stop=False), simulated_model(0.5, 0.5, seed=1), 2, cache=True)
    for sample, record in zip(log.samples, _records(log), strict=True):
        assert record["distinct"] == 6
        assert not any(e.cache for e in sample.events if isinstance(e, ModelEvent))
        assert any(0 < m["wins_a"] < 4 for meetings in record["rounds"] for m in meetings)


def test_multiple_choice_questions(evaluate) -> None:
    samples = [Sample(input=f"{i}+2?", choices=[str(i), str(i + 2), "9"], target="B") for i in range(8)]
    model = simulated_model(0.5, 1.0, right="B) it", wrong_answers=["A", "C."], seed=2)
    log = evaluate(knockout(n=6, k=1), model, samples=samples, scorer=choice())
    found = ["b" in record["answers"] for record in _records(log)]
    assert _accuracy(log) == sum(found) / 8 > 0.5
    for sample in (resolve_sample_attachments(sample) for sample in log.samples):
        prompts = [e.input[-1].text for e in sample.events if isinstance(e, ModelEvent)]
        assert prompts and all(f"B) {sample.choices[1]}" in prompt for prompt in prompts)
    assert {answer for record in _records(log) for answer in record["answers"]} <= {"a", "b", "c"}


def test_own_generation_and_own_comparison(evaluate) -> None:
    asked = []

    async def by_length(question: str, a: str, b: str, /, *, k: int, judge: Model) -> Comparison:
        asked.append((question, k))
        return Comparison(*((k, 0.0) if "right" in a else (0.0, k)))

    own = chain(prompt_template("Please: {prompt}"), generate())
    log = evaluate(knockout(n=6, k=3, generate=own, compare=by_length), simulated_model(0.5, 0.0, seed=3), 3)
    assert _accuracy(log) == 1
    assert asked and all(k == 3 and "Question" in question for question, k in asked)
    prompts = [e.input[-1].text for s in log.samples for e in s.events if isinstance(e, ModelEvent)]
    assert len(prompts) == 18 and all(prompt.startswith("Please: Question") for prompt in prompts)


def test_majority_vote(evaluate) -> None:
    model = simulated_model(0.4, 0.5, wrong_answers={"B": 5, "C": 1}, seed=4)
    for record in _records(evaluate(majority_vote(n=9), model, 8)):
        answers = record["answers"]
        assert answers.count(answers[record["winner"]]) == max(map(answers.count, answers))
    ties = _records(evaluate(majority_vote(n=2), simulated_model(0.5, 0.5, seed=5), 24))
    split = [r for r in ties if len(set(r["answers"])) == 2]
    assert 0 < sum(r["answers"][r["winner"]] == "right" for r in split) < len(split)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("n", lambda: knockout(n=0)),
        ("k", lambda: knockout(k=0)),
        ("n", lambda: majority_vote(n=0)),
        ("n", lambda: league(n=2.0)),
        ("m", lambda: league(n=4, m=0)),
        ("m", lambda: league(n=4, m=4)),
    ],
)
def test_bad_arguments(name: str, make) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        make()


SETTING = {"p_gen": 0.35, "p_comp": 0.72, "bias": 0.2, "questions": 70}


@pytest.mark.parametrize("method", ["knockout", "league", "majority"])
def test_solvers_and_vectorised_tournaments_have_one_failure_rate(evaluate, method: str) -> None:
    p_gen, p_comp, bias, questions = SETTING.values()
    model = simulated_model(p_gen, p_comp, position_bias=bias, seed=11)
    rng = np.random.default_rng(12)
    table = numpy_.preference_table(p_comp)
    answers = numpy_.draw([p_gen, 1 - p_gen], 40_000, 6, rng)
    if method == "knockout":
        log = evaluate(knockout(n=6, k=3), model, questions)
        expected = numpy_.failure(numpy_.knockout_winners(answers, table, 3, rng, bias=bias))
        assert abs(expected - (1 - p_gen)) > 0.2  # far from what a judge without skill would give
    elif method == "league":
        log = evaluate(league(n=6, k=1, m=2), simulated_model(p_gen, p_comp, seed=11), questions)
        expected = numpy_.failure(numpy_.league_winners(answers, table, 1, 2, rng))
        assert abs(expected - (1 - p_gen)) > 0.2
    else:
        log = evaluate(majority_vote(n=6), model, questions)
        expected = numpy_.failure(numpy_.majority_winners([p_gen, 1 - p_gen], 40_000, 6, rng))
        assert expected - (1 - p_gen) > 0.1
    error = (expected * (1 - expected) / questions) ** 0.5
    assert abs(1 - _accuracy(log) - expected) < 3 * error
