"""VideoAutoArena (arXiv 2411.13281): systems fight over questions that simulated users ask about videos.

A user model sees a video, invents a persona and asks what that persona would ask; two systems answer without knowing
the persona; a judge that knows it compares the answers by four standards and then overall; ratings are fitted to all
battles. To enter a new system, old battles are drawn and one of their sides is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentText
from inspect_ai.solver import TaskState, generate

from sillok.methods.evals.arena import (
    Battle,
    Tally,
    arena_win_rate,
    bradley_terry,
    expected_score,
    parse_judgement,
    winner_of,
)
from sillok.methods.evals.benchmark import Benchmark, Item, Record
from sillok.methods.evals.predictions import Mode, Prediction
from sillok.methods.evals.video_frames import watch
from sillok.methods.evals.video_judging import DIMENSIONS, judge_battle

#: The key under which published battles hold the judge's whole reply, and that of its overall verdict.
JUDGEMENT, OVERALL = "GPT4o Judge response", "Overall Judge"
SIDES = ("a", "b")


class VideoAutoArena(Benchmark):
    """Battles over videos, as VideoAutoArena publishes them; predictions are judgements of battles.

    Args:
        version: "1" (the release of November 2024).
        candidate: the system whose rating is the headline; without one, every system's rating is a figure.
        history: judged battles that ratings are fitted to as well, or the path of a file of them.
    """

    slug: ClassVar[str] = "video_auto_arena"
    versions: ClassVar[tuple[str, ...]] = ("1",)
    published_missing: ClassVar[Literal["skip", "penalise"]] = "skip"

    def __init__(
        self,
        version: str | None = None,
        *,
        candidate: str | None = None,
        history: Sequence[Record] | str | None = None,
    ) -> None:
        super().__init__(version, candidate=candidate, history=history)
        self.candidate = candidate
        self.history = load_battles(history) if isinstance(history, str) else list(history or [])

    def identify(self, record: Record) -> str:
        """Question and systems: one question is fought over by several pairs."""
        return battle_id(record)

    def grade(self, record: Record, prediction: Prediction, mode: Mode) -> Item:
        """The winner that a judgement names: its overall section, else (a bare verdict) all of the reply."""
        found = parse_judgement(prediction.text, mode)
        winner = found["winner"] if OVERALL in found else winner_of(prediction.extras.get(OVERALL), mode)
        values = {"a": record["model a"], "b": record["model b"], "winner": winner}
        values |= {name: found[name] for name in DIMENSIONS if name in found}
        notes = () if winner else ("no verdict can be read: the battle is left out",)
        return Item(self.identify(record), values, answer=winner, notes=notes)

    def absent(self, record: Record, mode: Mode) -> Item:
        """A battle that was not judged: without a winner, and so left out under every policy."""
        return self.grade(record, Prediction(""), mode)

    def total(self, items: Sequence[Item], mode: Mode) -> dict[str, float | None]:
        """Rating and win rate (in percent) of the candidate, or of every system, over the history and these battles."""
        fought = [*judged(self.history, mode)]
        fought += [
            Battle(i.values["a"], i.values["b"], i.values["winner"]) for i in items if i.values["winner"]
        ]
        if not fought:
            return {"elo": None, "win_rate": None}
        tally = Tally.of(fought)
        ratings, rates = bradley_terry(tally, mode=mode), arena_win_rate(tally, mode=mode)
        if self.candidate is not None:
            rate = rates.get(self.candidate)
            return {"elo": ratings.get(self.candidate), "win_rate": None if rate is None else 100 * rate}
        figures: dict[str, float | None] = {f"elo/{name}": rating for name, rating in ratings.items()}
        return figures | {f"win_rate/{name}": 100 * rate for name, rate in rates.items()}

    def blind_spots(self, items: Sequence[Item]) -> list[str]:
        """Ratings are relative: only over the released battles do they stand beside the published ones."""
        if self.candidate is None:
            return ["no candidate is named: nothing stands on a board"]
        met = {name for record in self.history for name in (record["model a"], record["model b"])}
        board = {row.system for row in self._board().rows}
        return (
            [] if board <= met else ["the released battles of the systems on the board are not its history"]
        )

    async def prepare(self, record: Record, state: TaskState) -> Prediction:
        """Set the model's answer into its side of the battle, and ask the judge."""
        return await judge_battle({**record, f"{_side(record)} answer": state.output.completion})


def _side(record: Record) -> str:
    """The side that is still to be answered: "model a" or "model b"."""
    return next((f"model {side}" for side in SIDES if f"model {side} answer" not in record), "model a")


def battle_id(record: Record) -> str:
    """The id of a battle: its question and its two systems."""
    return f"{record['qid']}|{record['model a']}|{record['model b']}"


def load_battles(path: str | PathLike[str]) -> list[dict[str, Any]]:
    """Battles from a JSON file (a list), or JSON Lines, in VideoAutoArena's format; judgements are optional.

    The released file cannot be shipped: its licence (CC BY-NC-SA) forbids commercial use, and battles are never
    redistributed. It is ``data/battle.history.w.judge.latest.json.zip`` in the authors' repository.

    Raises:
        ValueError: a file that cannot be read, holds no battles, or misses a key; the message names it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = (
            [json.loads(line) for line in text.splitlines() if line.strip()]
            if path.suffix == ".jsonl"
            else json.loads(text)
        )
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} holds no battles ({error})") from None
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path} holds no battles: expected a list of them")
    for index, row in enumerate(rows):
        lacking = [key for key in ("video_id", "qid", "question", "model a", "model b") if key not in row]
        if lacking:
            raise ValueError(
                f"{path}: battle {index} has no {lacking[0]!r}; is it a file of another version?"
            )
    return rows


def judged(records: Iterable[Record], mode: Mode = "published") -> list[Battle]:
    """The battles of records whose judgement names a winner; the others are left out, as published."""
    found = []
    for record in records:
        verdict = record.get(OVERALL)
        if mode == "strict" and JUDGEMENT in record:
            verdict = parse_judgement(record[JUDGEMENT], mode).get(OVERALL, verdict)
        winner = winner_of(verdict, mode)
        if winner is not None:
            found.append(Battle(record["model a"], record["model b"], winner))
    return found


def enter(battles: Sequence[Record], candidate: str, *, n: int = 1500, seed: int = 0) -> list[dict[str, Any]]:
    """Draw old battles without replacement, and let `candidate` take the place of a side chosen by a fair coin.

    Args:
        battles: with the answers of both sides.
        candidate: the new system's name.
        n: battles to draw; all of them where there are fewer.
        seed: of battles and sides.

    Returns:
        Battles that keep the other side's answer, and await the candidate's.

    Raises:
        ValueError: n below 1, or a candidate that fights in these battles already.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n!r}")
    if any(candidate in (record["model a"], record["model b"]) for record in battles):
        raise ValueError(f"candidate must be a new name; {candidate!r} fights in these battles already")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(battles))[:n]
    sides = rng.integers(0, 2, len(order))
    entered, seen = [], set()
    for at, side in zip(order, sides, strict=True):
        old, mine, other = battles[at], SIDES[side], SIDES[1 - side]
        made = {key: old[key] for key in ("video_id", "qid", "persona", "question") if key in old}
        made |= {f"model {mine}": candidate, f"model {other}": old[f"model {other}"]}
        made |= {f"model {other} answer": old.get(f"model {other} answer", "")}
        if battle_id(made) not in seen:
            seen.add(battle_id(made))
            entered.append(made)
    return entered


def arena_generate(
    skills: Mapping[str, float],
    n: int,
    seed: int,
    *,
    position_bias: float = 0.0,
    ties: float = 0.0,
    answers: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Battles between systems of known strength, in VideoAutoArena's format.

    Args:
        skills: system -> true rating in points, of which 400 are odds of ten to one.
        n: battles; pairs and sides are drawn evenly.
        seed: of everything.
        position_bias: added to the probability that the first side wins.
        ties: share of battles whose verdict is a tie, whatever the strengths.
        answers: system -> share of its answers that are right; they then read "ANSWER: right" or "ANSWER: wrong".

    Raises:
        ValueError: fewer than two systems or one battle, or a share outside [0, 1].
    """
    if len(skills) < 2 or n < 1 or not 0 <= ties <= 1:
        raise ValueError(
            f"skills must name two systems, n be at least 1, ties a share; got {len(skills)}, {n!r}, {ties!r}"
        )
    rng, names = np.random.default_rng([seed, 53]), list(skills)
    battles = []
    for at in range(n):
        a, b = (names[i] for i in rng.choice(len(names), 2, replace=False))
        wins = expected_score(skills, a, b) + position_bias
        u, tie = rng.random(2)
        verdict = "Tie" if tie < ties else "A" if u < wins else "B"
        right = rng.random(2)
        made = {
            "video_id": f"clip{at % 4}",
            "qid": f"q{at}",
            "persona": "Somebody.",
            "question": f"Question {at}: what is seen?",
        }
        made |= {"model a": a, "model b": b, OVERALL: verdict, JUDGEMENT: f"[{OVERALL}]\n{verdict}"}
        for side, name, draw in zip(SIDES, (a, b), right, strict=True):
            share = 0.5 if answers is None else answers[name]
            made[f"model {side} answer"] = f"ANSWER: {'right' if draw < share else 'wrong'}"
        battles.append(made)
    return battles


@task
def video_auto_arena(
    source: str,
    *,
    videos: str | None = None,
    candidate: str = "candidate",
    n_battles: int = 1500,
    seed: int = 0,
    mode: Mode = "published",
    limit: int | None = None,
) -> Task:
    """VideoAutoArena (arXiv 2411.13281): answer users' questions about videos, and be rated against older systems.

    The model is one more system; a judge takes the role ``grader`` (``--model-role grader=openai/gpt-4o``).

    Args:
        source: the authors' file of judged battles, unpacked.
        videos: a folder of LongVideoBench (``lvb_test_wo_gt.json``, ``videos/``, ``subtitles/``); without it the model
            sees no video, and the result says so.
        candidate: the name under which the model enters.
        n_battles: battles that it fights; the authors take 1,500.
        seed: of which battles, and on which side.
        mode: "published" or "strict" reading of verdicts.
        limit: fight only the first so many of them.
    """
    history = load_battles(source)
    records = enter(history, candidate, n=n_battles, seed=seed)[:limit]
    bench = VideoAutoArena(candidate=candidate, history=source)
    why = [f"n_battles is {n_battles}, and the authors fight 1500"] if n_battles != 1500 else []
    why += ["the model saw no video"] if videos is None else []
    why += ["the judge's prompt is in Sillok's words, and the published judge is gpt-4o"]
    samples = [Sample(input=_asked(record, videos), id=battle_id(record), metadata={}) for record in records]
    return Task(
        dataset=MemoryDataset(samples, name="video_auto_arena"),
        solver=generate(),
        scorer=bench.scorer([{**record, "videos": videos} for record in records], mode),
        metadata=bench.metadata(why),
    )


def _asked(record: Mapping[str, Any], videos: str | None) -> str | list[Any]:
    """What a system sees: the video and the question, never the persona."""
    if videos is None:
        return str(record["question"])
    return [
        ChatMessageUser(content=[*watch(videos, record["video_id"]), ContentText(text=record["question"])])
    ]
