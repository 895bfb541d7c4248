"""The simulated model: stated rates, fresh draws, the same sequence for the same seed, no network."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model

from sillok.testbeds.sim_model import simulated_model

ROOT = Path(__file__).parents[2]


def _ask(model: Model, prompt: str, times: int) -> list[str]:
    # the provider itself: what Inspect does around a call takes a hundred times as long
    async def go() -> list[str]:
        asked = [ChatMessageUser(content=prompt)], [], "auto", GenerateConfig()
        return [(await model.api.generate(*asked)).completion for _ in range(times)]

    return asyncio.run(go())


def _answers(model: Model, prompt: str, times: int) -> Counter[str]:
    return Counter(text.rsplit("ANSWER: ", 1)[1] for text in _ask(model, prompt, times))


def _pair(first: str, second: str, question: str = "Q?") -> str:
    return (
        f"{question}\n<solution_1>\nANSWER: {first}\n</solution_1>\n"
        f"<solution_2>\nANSWER: {second}\n</solution_2>\nVERDICT: 1 or 2"
    )


def _first(model: Model, prompt: str, times: int = 600) -> float:
    return sum(text.endswith("VERDICT: 1") for text in _ask(model, prompt, times)) / times


def _near(rate: float, expected: float, times: int = 600) -> bool:
    return abs(rate - expected) < 3.5 * (max(expected * (1 - expected), 0.001) / times) ** 0.5


def test_answers_have_the_stated_rates() -> None:
    counts = _answers(simulated_model(0.4, 0.5, wrong_answers={"B": 3, "C": 1}, seed=1), "Q?", 600)
    assert set(counts) == {"right", "B", "C"}
    for answer, share in (("right", 0.4), ("B", 0.45), ("C", 0.15)):
        assert _near(counts[answer] / 600, share)


def test_verdicts_have_the_stated_rates_and_bias() -> None:
    plain = simulated_model(0.5, 0.7, seed=1)
    assert _near(_first(plain, _pair("right", "wrong")), 0.7)
    assert _near(_first(plain, _pair("wrong", "right")), 0.3)
    assert _near(_first(plain, _pair("wrong", "other")), 0.5)
    biased = simulated_model(0.5, 0.7, position_bias=0.2, seed=1)
    assert _near(_first(biased, _pair("right", "wrong")), 0.9)
    assert _near(_first(biased, _pair("wrong", "right")), 0.5)


def test_ties_and_unparsable_replies() -> None:
    texts = _ask(simulated_model(0.5, 1.0, tie=0.3, unparsable=0.2, seed=2), _pair("right", "wrong"), 600)
    assert _near(sum("VERDICT: tie" in text for text in texts) / 600, 0.3)
    assert _near(sum("VERDICT" not in text for text in texts) / 600, 0.2)


def test_identical_prompts_are_fresh_draws_and_the_seed_repeats_them() -> None:
    first, again = (_ask(simulated_model(0.5, 0.5, seed=3), "Q?", 40) for _ in range(2))
    assert first == again
    assert len(set(first)) == 40
    assert first != _ask(simulated_model(0.5, 0.5, seed=4), "Q?", 40)
    draws = np.array(["right" in text for text in _ask(simulated_model(0.5, 0.5, seed=5), "Q?", 600)])
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.15


def test_other_prompts_in_between_change_nothing() -> None:
    alone = _ask(simulated_model(0.5, 0.5, seed=6), "Q?", 10)  # by its provider, the others by Inspect
    model = simulated_model(0.5, 0.5, seed=6)

    async def mixed() -> list[str]:
        calls = [model.generate(prompt) for _ in range(10) for prompt in ("other", "Q?", _pair("a", "b"))]
        return [output.completion for output in await asyncio.gather(*calls)]

    texts = asyncio.run(mixed())
    assert sorted(texts[1::3]) == sorted(alone)


def test_preferences_need_not_be_transitive() -> None:
    cycle = {"right": {"A": 0.9}, "A": {"B": 0.8}, "B": {"right": 0.7}}
    model = simulated_model(0.3, 0.99, wrong_answers=["A", "B"], preferences=cycle, seed=7)
    for first, second, p in (("right", "A", 0.9), ("A", "B", 0.8), ("B", "right", 0.7), ("right", "B", 0.3)):
        assert _near(_first(model, _pair(first, second)), p)


def test_dependent_comparisons_keep_the_rate_and_repeat_the_outcome() -> None:
    fixed = simulated_model(0.5, 0.7, dependence=1.0, seed=8)
    outcomes = []
    for i in range(300):
        a, b = f"right\n(try {i})", f"wrong\n(try {i})"
        straight = [text[-1] for text in _ask(fixed, _pair(a, b), 3)]
        swapped = [text[-1] for text in _ask(fixed, _pair(b, a), 3)]
        assert len(set(straight)) == len(set(swapped)) == 1
        assert {straight[0], swapped[0]} == {"1", "2"}
        outcomes.append(straight[0] == "1")
    assert _near(float(np.mean(outcomes)), 0.7, 300)
    half = simulated_model(0.5, 0.7, dependence=0.5, seed=9)
    pairs = np.array(
        [[t[-1] == "1" for t in _ask(half, _pair(f"right\n{i}", "wrong"), 2)] for i in range(500)]
    )
    assert abs(np.corrcoef(pairs.T)[0, 1] - 0.25) < 0.13


def test_rates_by_question() -> None:
    model = simulated_model(
        {"capital of Peru": 1.0, "Peru": 0.0},
        {"Peru": 1.0},
        right={"capital": "Lima", "Peru": "Inca"},
        seed=1,
    )
    assert _answers(model, "Name the capital of Peru!", 5) == {"Lima": 5}
    assert _answers(model, "Who ruled Peru?", 5) == {"wrong": 5}
    assert _first(model, _pair("Inca", "wrong", "Who ruled Peru?"), 5) == 1
    with pytest.raises(ValueError, match="right names no question of this prompt: 'user: Chile"):
        _ask(model, "Chile?", 1)


def test_messages_before_the_question_belong_to_the_prompt() -> None:
    async def go(system: str) -> str:
        messages = [ChatMessageSystem(content=system), ChatMessageUser(content="Q?")]
        return (await simulated_model(0.5, 0.5).generate(messages)).completion

    assert asyncio.run(go("a")) == asyncio.run(go("a")) != asyncio.run(go("b"))


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    output = asyncio.run(simulated_model(0.5, 0.5).generate("two words"))
    assert re.fullmatch(r"Attempt [0-9a-f]{10} at this question\.\nANSWER: (right|wrong)", output.completion)
    assert output.usage is not None and output.usage.output_tokens == 7


def test_registered_by_the_entry_point(tmp_path: Path) -> None:
    """Inspect finds the provider by name where a package with pyproject's entry point is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = tmp_path / "installed-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    target = project["entry-points"]["inspect_ai"]["sillok"]
    (info / "entry_points.txt").write_text(f"[inspect_ai]\nsillok = {target}\n")
    code = (
        "import asyncio; from inspect_ai.model import get_model\n"
        "model = get_model('sillok/simulated', p_gen=1.0, right='yes')\n"
        "print(str(model), asyncio.run(model.generate('Q?')).completion)"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout.startswith("sillok/simulated Attempt")
    assert done.stdout.strip().endswith("ANSWER: yes")


def test_importing_testbeds_stays_light() -> None:
    code = "import sys, sillok.testbeds; print(sorted({'inspect_ai', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"p_gen": 1.2}, "p_gen must lie between 0 and 1, not 1.2"),
        ({"p_gen": "a"}, "p_gen must lie"),
        ({"p_comp": {"Q": -1}}, r"p_comp\['Q'\] must lie"),
        ({"p_gen": {}}, "p_gen must name at least one question"),
        ({"wrong_answers": []}, "wrong_answers must be a non-empty"),
        ({"wrong_answers": "wrong"}, "wrong_answers must be a non-empty"),
        ({"wrong_answers": {"a": -1.0}}, "wrong_answers must have"),
        ({"wrong_answers": ["right"]}, "wrong_answers must not hold a right answer"),
        ({"position_bias": 2}, "position_bias must lie"),
        ({"tie": 0.6, "unparsable": 0.6}, "tie \\+ unparsable must be at most 1"),
        ({"dependence": 1.5}, "dependence must lie"),
        ({"preferences": {"a": {"b": 0.8}, "b": {"a": 0.8}}}, "preferences of 'b' and 'a' contradict"),
        ({"preferences": {"a": {"a": 0.8}}}, "contradict"),
    ],
)
def test_bad_arguments(bad: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulated_model(**({"p_gen": 0.5, "p_comp": 0.5} | bad))
