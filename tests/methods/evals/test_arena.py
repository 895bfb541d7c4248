"""Arenas: verdicts as published and strictly, ratings and win rates, and parity with the authors' script."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from sillok.methods.evals import parity
from sillok.methods.evals.arena import (
    Battle,
    Tally,
    arena_win_rate,
    bootstrap_ratings,
    bradley_terry,
    expected_score,
    online_elo,
    parse_judgement,
    sections,
    separable,
    winner_of,
)

TRUE = {"a": 1200.0, "b": 1050.0, "c": 950.0, "d": 800.0}


def fight(n: int, seed: int = 0, ties: float = 0.0) -> list[Battle]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        a, b = (str(x) for x in rng.choice(list(TRUE), 2, replace=False))
        winner = "tie" if rng.random() < ties else "A" if rng.random() < expected_score(TRUE, a, b) else "B"
        found.append(Battle(a, b, winner))
    return found


@pytest.mark.parametrize(
    ("verdict", "published", "strict"),
    [
        ("A", "A", "A"),
        (" B\n", "B", "B"),
        ("Tie", "tie", "tie"),
        ("Tie (both are bad)", "tie", "tie"),
        ("Model A", "A", "A"),
        ("Model B is better", "B", "B"),
        ("Both are bad", "B", None),
        ("Both A and B are good", "B", None),
        ("Neither", None, None),
        ("All in all, the second", "A", None),
        ("a", None, "A"),
        ("A/B/Tie", "tie", None),
        ("The entity tie-break goes to A", "tie", None),
        ("```\nA\n```", "A", "A"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_verdicts_as_published_and_without_their_faults(
    verdict: str | None, published: str | None, strict: str | None
) -> None:
    assert winner_of(verdict) == published
    assert winner_of(verdict, "strict") == strict


def test_a_judgement_is_cut_at_its_headings() -> None:
    text = "Step 1\n```[Accuracy]\nA is right about [the colour] of it.\n```\n[Overall Judge]\n```\nB\n```"
    found = parse_judgement(text)
    assert found["Accuracy"] == "A is right about"  # a bracket within an analysis cuts it: as published
    assert found["Overall Judge"] == "B"
    assert found["winner"] == "B"
    assert sections("nothing [unclosed") == {}
    assert parse_judgement("") == {"winner": None}
    assert sections("[x] one [x] two") == {"x": "two"}


def test_two_systems_differ_by_the_logarithm_of_their_odds() -> None:
    battles = [Battle("x", "y", "A")] * 30 + [Battle("y", "x", "A")] * 10
    found = bradley_terry(battles, mode="strict")
    assert found["x"] - found["y"] == pytest.approx(400 * math.log10(3), abs=1e-3)
    assert sum(found.values()) == pytest.approx(2000, abs=1e-6)
    assert expected_score(found, "x", "y") == pytest.approx(0.75, abs=1e-6)


def test_ratings_average_their_start_and_forget_sides_and_order() -> None:
    battles = fight(400, ties=0.1)
    found = bradley_terry(battles)
    assert np.mean(list(found.values())) == pytest.approx(1000, abs=1e-6)
    swapped = [Battle(b, a, {"A": "B", "B": "A", "tie": "tie"}[w]) for a, b, w in battles]
    for other in (swapped, battles[::-1]):
        again = bradley_terry(other)
        assert list(again) == list(found)
        assert list(again.values()) == pytest.approx(list(found.values()), abs=1e-2)
    assert online_elo(battles) != online_elo(battles[::-1])  # whereas the online update depends on the order
    shifted = bradley_terry(battles, init=0, scale=200)
    assert shifted["a"] == pytest.approx((found["a"] - 1000) / 2, abs=1e-6)


def test_strengths_are_recovered_and_ties_compress_them() -> None:
    found = bradley_terry(fight(20_000))
    assert list(found) == list(TRUE)
    assert max(abs(found[name] - TRUE[name]) for name in TRUE) < 20
    tied = bradley_terry(fight(20_000, ties=0.4))
    assert list(tied) == list(TRUE)
    assert tied["a"] - tied["d"] < 0.75 * (found["a"] - found["d"])


def test_a_tie_is_no_victory_in_the_win_rate() -> None:
    battles = (
        [Battle("x", "y", "A")] * 2
        + [Battle("y", "x", "A")]
        + [Battle("x", "y", "tie")]
        + [Battle("x", "y", "B")] * 2
    )
    assert arena_win_rate(battles, mode="strict") == pytest.approx({"y": 0.5, "x": 2 / 6})
    many = fight(3000)
    rates = arena_win_rate(many)
    assert list(rates) == list(TRUE)
    tally = Tally.of(many)
    a = tally.systems.index("a")
    met = (tally.wins + tally.wins.T + tally.drawn)[a]
    assert rates["a"] == pytest.approx(np.mean([w / m for w, m in zip(tally.wins[a], met, strict=True) if m]))


def test_what_the_published_tables_leave_out_is_counted_strictly() -> None:
    # z always stands first and always loses: the list of victories of the first side does not hold it
    assert "z" not in bradley_terry([*fight(200), *[Battle("z", "a", "B")] * 5])
    only_second = [Battle("x", "y", "A"), Battle("y", "x", "A"), Battle("z", "x", "B")]
    assert set(bradley_terry(only_second)) == {"x", "y"}
    strict = bradley_terry(only_second, mode="strict")
    assert strict["z"] == -math.inf
    assert strict["x"] == pytest.approx(strict["y"])
    assert "z" not in arena_win_rate(only_second)
    assert arena_win_rate(only_second, mode="strict")["z"] == 0


def test_infinite_ratings_and_separate_leagues_are_told() -> None:
    chain = [Battle("x", "y", "A"), Battle("y", "z", "A")]
    assert separable(chain)
    assert not separable(fight(300))
    found = bradley_terry([*fight(300), Battle("best", "a", "A"), Battle("worst", "d", "B")], mode="strict")
    assert found["best"] == math.inf
    assert found["worst"] == -math.inf
    assert all(math.isfinite(found[name]) for name in TRUE)
    with pytest.raises(ValueError, match="must connect all systems"):
        bradley_terry([Battle("x", "y", "tie"), Battle("p", "q", "tie")], mode="strict")


def test_bootstrap_intervals_hold_the_truth() -> None:
    battles = fight(600)
    bounds = bootstrap_ratings(battles, np.random.default_rng(0), rounds=60)
    found = bradley_terry(battles)
    assert all(low < found[name] < high for name, (low, high) in bounds.items())
    wider = bootstrap_ratings(battles[:100], np.random.default_rng(0), rounds=60)
    assert np.mean([high - low for low, high in wider.values()]) > np.mean(
        [high - low for low, high in bounds.values()]
    )


@pytest.mark.parametrize("battles", [[], [Battle("x", "x", "A")], [Battle("x", "y", "C")]])
def test_battles_that_are_none_are_refused(battles: list[Battle], as_users_run_it: None) -> None:
    for rate in (bradley_terry, arena_win_rate):
        with pytest.raises(ValueError, match="battles must"):
            rate(battles)
    with pytest.raises(ValueError, match="mode must be one of"):
        bradley_terry(fight(5), mode="other")
    with pytest.raises(ValueError, match="rounds must be at least 2"):
        bootstrap_ratings(fight(5), np.random.default_rng(0), rounds=1)


def test_parity_with_the_authors_script_on_generated_battles() -> None:
    """Their scores of 150 generated sets of battles are kept with the commit; ours are computed anew."""
    report = parity.kept(Path(__file__).parent / "parity" / "video_auto_arena.json.gz")
    assert report.commit == "404f0447c679e32b604f0a8d7a877681648e3dee"
    assert report.cases == 150
    assert report.figures > 15_000
    assert report.equal, str(report)
    assert report.worst < 1e-9


def test_parity_tells_what_differs(tmp_path: Path) -> None:
    from sillok.methods.evals.video_arena_parity import parity_cases, parity_score

    right = parity_score(parity_cases(3, 1)[0])
    wrong = {**right, "winner/0": "nobody", "elo/S0": 1.0}
    report = parity.compare(
        {"slug": "video_auto_arena", "commit": "c" * 40, "seed": 3, "n": 1, "scores": [wrong]}
    )
    assert not report.equal
    assert {d.figure for d in report.differences} == {"winner/0", "elo/S0"}
    assert "2 differ, the first in case 0: elo/S0" in str(report)
    with pytest.raises(ValueError, match="checkout must be the folder"):
        parity.parity("video_auto_arena", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="failed: ModuleNotFoundError"):
        parity.parity("video_auto_arena", tmp_path, n=1)
    with pytest.raises(ValueError, match="slug must be one of"):
        parity.parity("nothing", tmp_path)
    with pytest.raises(ValueError, match="keeps no scores"):
        parity.kept(tmp_path / "none.gz")
