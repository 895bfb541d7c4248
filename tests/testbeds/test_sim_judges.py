"""The simulated model as chooser, scorer and verifier: rates, log-probabilities, correlations, settings."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from inspect_ai.log import read_eval_log
from inspect_ai.model import ChatMessageUser, GenerateConfig

from sillok.testbeds import sim_model
from sillok.testbeds.sim_model import SimulatedAPI, simulated_model

ROOT = Path(__file__).parents[2]
QUESTION = "What is 17 + 25?"
CHOICE = f"{QUESTION}\nA) 41\nB) 42\nC) 43\nD) 44"
PLAIN = {"right": "42", "wrong_answers": ["41", "43"]}


def judged(solution, asked="Is it right? Reply yes or no."):
    return f"{QUESTION}\n<answer>\n{solution}\n</answer>\n{asked}"


def pair(first, second):
    return f"{QUESTION}\n<solution_1>{first}</solution_1>\n<solution_2>{second}</solution_2>"


def api(**arguments):
    return SimulatedAPI("simulated", **{**PLAIN, **arguments})


def outputs(model, prompt, times=1, **config):
    async def go():
        asked = [ChatMessageUser(content=prompt)], [], "auto", GenerateConfig(**config)
        return [await model.generate(*asked) for _ in range(times)]

    return asyncio.run(go())


def draws(model, prompt, n=1000):
    return [reply.text for reply in model.replies(prompt, GenerateConfig(num_choices=n))]


def near(share, p, n=1000):
    return abs(share - p) < 3.5 * math.sqrt(max(p * (1 - p), 1e-3) / n)


@pytest.mark.parametrize(
    ("arguments", "right", "digest"),
    [
        (
            {"p_gen": 0.4, "p_comp": 0.5, "wrong_answers": {"B": 3, "C": 1}, "seed": 1},
            "right",
            "b47ae5d57e2f177d",
        ),
        ({"p_gen": 0.5, "p_comp": 0.7, "position_bias": 0.2, "seed": 1}, "right", "4a1b483dc6ae282c"),
        (
            {"p_gen": 0.5, "p_comp": 0.8, "tie": 0.3, "unparsable": 0.2, "seed": 2},
            "right",
            "2dc17d5efd4ecab5",
        ),
        (
            {
                "p_gen": 0.3,
                "p_comp": 0.99,
                "wrong_answers": ["A", "B"],
                "preferences": {"right": {"A": 0.9}, "A": {"B": 0.8}, "B": {"right": 0.7}},
                "seed": 7,
            },
            "right",
            "b99fe7e6d4e7101e",
        ),
        ({"p_gen": 0.5, "p_comp": 0.7, "dependence": 0.5, "seed": 9}, "right", "dc9e3b1ea2bacdfb"),
        (
            {"p_gen": {"Q": 0.9}, "p_comp": {"Q": 0.6}, "right": {"Q": "Lima"}, "seed": 11},
            "Lima",
            "8cdd78d50230a32a",
        ),
    ],
)
def test_questions_and_comparisons_are_drawn_as_ever(arguments, right, digest):
    # recorded before there were other kinds of reply: measured trials stand on these very texts
    def compare(a, b):
        return (
            f"Q?\n<solution_1>\nANSWER: {a}\n</solution_1>\n"
            f"<solution_2>\nANSWER: {b}\n</solution_2>\nVERDICT: 1 or 2"
        )

    model = simulated_model(**arguments).api
    prompts = ["Q?", compare(right, "wrong"), compare("A", right), compare("A", "B")]
    texts = [output.completion for prompt in prompts for output in outputs(model, prompt, 50)]
    assert hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16] == digest


def test_choices_have_the_stated_accuracy_and_preference():
    plain = Counter(draws(api(p_choice=0.7), CHOICE))
    assert set(plain) == {f"ANSWER: {letter}" for letter in "ABCD"}
    for letter, p in zip("ABCD", (0.1, 0.7, 0.1, 0.1), strict=True):
        assert near(plain[f"ANSWER: {letter}"] / 1000, p)
    drawn = Counter(draws(api(p_choice=0.7, preferred="C", preference=0.3), CHOICE))
    for letter, p in zip("ABCD", (0.07, 0.49, 0.37, 0.07), strict=True):
        assert near(drawn[f"ANSWER: {letter}"] / 1000, p)


def test_the_right_option_is_known_by_text_or_letter_and_by_question():
    by_text, by_letter = api(p_choice=1.0), api(p_choice=1.0, right={"17 + 25": "B"})
    assert set(draws(by_text, CHOICE, 5) + draws(by_letter, CHOICE, 5)) == {"ANSWER: B"}
    swapped = f"{QUESTION}\n(A) 42\n(B) 41"
    assert draws(by_text, swapped, 1) == ["ANSWER: A"]
    with pytest.raises(ValueError, match="right answer '42' is no option of this prompt"):
        draws(by_text, "Which?\nA. 1\nB. 2", 1)
    # without p_choice the same prompt is a question like any other
    assert draws(api(p_gen=1.0), CHOICE, 1)[0].endswith("ANSWER: 42")


def test_scores_have_the_stated_bias_and_noise():
    model = api(scale=(1, 10), quality={"42": 6, "41": 3}, score_bias=0.5, score_noise=1.0)
    found = np.array([int(text[7:-8]) for text in draws(model, judged("so ANSWER: 42", "Score it."), 2000)])
    assert all(
        text == f"<score>{text[7:-8]}</score>" for text in draws(model, judged("ANSWER: 41", "Score."), 9)
    )
    spread = math.sqrt(1 + 1 / 12)  # rounding adds a twelfth
    assert abs(found.mean() - 6.5) < 3.5 * spread / math.sqrt(2000)
    assert abs(found.std() - spread) < 0.08
    low = np.array([int(text[7:-8]) for text in draws(model, judged("ANSWER: 41", "Score it."), 2000)])
    assert abs(low.mean() - 3.5) < 3.5 * spread / math.sqrt(2000)


def test_scores_are_clipped_and_come_in_three_forms():
    for form, text in (("tag", "<score>5</score>"), ("json", '{"score": 5}'), ("line", "SCORE: 5")):
        model = api(scale="1,5", quality={"42": 9}, score_noise=0, score_form=form)
        assert draws(model, judged("42", "Score it."), 3) == [text] * 3
    assert json.loads(
        draws(api(scale=[0, 4], score_noise=0, score_form="json"), judged("42", "?"), 1)[0]
    ) == {"score": 3}
    assert draws(api(scale=[0, 4], score_noise=0, score_form="line"), judged("9", "?"), 1) == ["SCORE: 1"]


def test_yes_and_no_have_the_stated_sensitivity_and_specificity():
    model = api(sensitivity=0.9, specificity=0.7)
    assert near(draws(model, judged("ANSWER: 42")).count("Yes") / 1000, 0.9)
    assert near(draws(model, judged("ANSWER: 41")).count("No") / 1000, 0.7)
    facts = api(sensitivity=0.9, specificity=0.7, truth={"red circle": True, "circle": False})
    assert near(draws(facts, "Is there a red circle, yes or no?").count("Yes") / 1000, 0.9)
    assert near(draws(facts, "Is there a circle, yes or no?").count("No") / 1000, 0.7)
    # a prompt that does not ask for yes or no is no check
    assert "ANSWER" in draws(model, QUESTION, 1)[0]


def test_length_and_position_bias_add_up():
    long, short = "Because it is so:\nANSWER: 42", "ANSWER: 41"
    model = api(p_comp=0.6, length_bias=0.2, position_bias=0.1)
    for first, second, p in ((long, short, 0.9), (short, long, 0.3)):
        assert near(np.mean([t.endswith("1") for t in draws(model, pair(first, second))]), p)
    same = api(p_comp=0.6, length_bias=0.2)
    assert near(np.mean([t.endswith("1") for t in draws(same, pair("ANSWER: 42", "ANSWER: 41"))]), 0.6)


def test_verdicts_and_tags_of_other_benchmarks():
    verdicts = ["[[A>B]]", "[[B>A]]", "[[A=B]]"]
    model = api(p_comp=1.0, tie=0.5, verdicts=verdicts, pair_tags=["a", "b"])
    found = Counter(draws(model, "Which?<a>42</a><b>41</b>"))
    assert set(found) == {"[[A>B]]", "[[A=B]]"} and near(found["[[A=B]]"] / 1000, 0.5)
    assert set(draws(model, "Which?<a>41</a><b>42</b>", 50)) == {"[[B>A]]", "[[A=B]]"}


def test_refusals_and_judgements_without_any():
    [output] = outputs(api(refusal=1.0), QUESTION)
    assert output.stop_reason == "content_filter" and "cannot help" in output.completion
    some = [output.stop_reason for output in outputs(api(refusal=0.2, p_gen=1.0), QUESTION, 1000)]
    assert near(some.count("content_filter") / 1000, 0.2)
    lost = draws(api(sensitivity=1.0, specificity=1.0, unparsable=0.25), judged("42"))
    assert near(1 - lost.count("Yes") / 1000, 0.25) and "No" not in lost


@pytest.mark.parametrize(
    ("arguments", "prompt", "token"),
    [
        ({"p_gen": 0.6}, QUESTION, "42"),
        ({"p_gen": 0.6, "refusal": 0.3}, QUESTION, "42"),
        ({"p_choice": 0.7, "preferred": "C", "preference": 0.3}, CHOICE, "C"),
        ({"p_comp": 0.7, "tie": 0.1, "unparsable": 0.1, "position_bias": 0.1}, pair("42", "41"), "1"),
        ({"scale": (1, 5), "score_noise": 1.0, "score_form": "json"}, judged("42", "Score it."), "4"),
        ({"sensitivity": 0.8, "specificity": 0.6, "unparsable": 0.1}, judged("42"), "Yes"),
    ],
)
def test_logprobs_exponentiate_to_the_rates(arguments, prompt, token):
    model = api(**arguments)
    found = outputs(model, prompt, 1000, logprobs=True, top_logprobs=20)
    seen = Counter()
    for output in found:
        rows = output.choices[0].logprobs.content
        assert "".join(row.token for row in rows) == output.completion
        [row] = [row for row in rows if len(row.top_logprobs) > 1 or row.logprob < 0]
        top = {entry.token: math.exp(entry.logprob) for entry in row.top_logprobs}
        assert row.token in top or "cannot help" in row.token
        seen[row.token] += 1
        if token in top:
            chances = top
        assert [e.logprob for e in row.top_logprobs] == sorted(
            (e.logprob for e in row.top_logprobs), reverse=True
        )
    refused = arguments.get("refusal", 0)
    lost = arguments.get("unparsable", 0)
    answers = {t: p for t, p in chances.items() if "merits" not in t and "depends" not in t}
    assert sum(answers.values()) == pytest.approx(1 - refused - lost)
    for answer, p in answers.items():
        assert near(seen[answer] / 1000, p), answer


def test_top_logprobs_are_as_many_as_asked_for_or_none():
    model = api(p_choice=0.7)
    [output] = outputs(model, CHOICE, logprobs=True, top_logprobs=2)
    row = output.choices[0].logprobs.content[-1]
    assert [entry.token for entry in row.top_logprobs] == ["B", "A"]
    [output] = outputs(model, CHOICE, logprobs=True)
    assert output.choices[0].logprobs.content[-1].top_logprobs is None
    assert outputs(model, CHOICE)[0].choices[0].logprobs is None


@pytest.mark.parametrize("r", [0.2, 0.6])
def test_two_calls_about_one_question_are_correlated_as_stated(r):
    cases = [
        ({"p_gen": 0.6}, QUESTION, "42", 0.6),
        ({"p_choice": 0.3}, CHOICE, "B", 0.3),
        ({"sensitivity": 0.9, "specificity": 0.7}, judged("41"), "No", 0.7),
        ({"p_comp": 0.8}, pair("42", "41"), "1", 0.8),
    ]
    for arguments, prompt, ending, p in cases:
        model = api(**arguments, correlation=r, seed=4)
        texts = [draws(model, f"Question {i}: {prompt}", 2) for i in range(1500)]
        hits = np.array([[text.endswith(ending) for text in two] for two in texts], float)
        assert abs(hits.mean() - p) < 3.5 * math.sqrt(p * (1 - p) * (1 + r) / 3000)
        assert abs(np.corrcoef(hits.T)[0, 1] - r) < 4 / math.sqrt(1500)


def test_scores_share_part_of_their_noise():
    model = api(scale=(0, 100), quality={"42": 50}, score_noise=8, correlation=0.5, score_form="line")
    texts = [draws(model, f"{i} {judged('42', 'Score it.')}", 2) for i in range(1500)]
    scores = np.array([[int(text.split()[1]) for text in two] for two in texts])
    assert abs(scores.std() - 8) < 0.5
    assert abs(np.corrcoef(scores.T)[0, 1] - 0.5) < 0.1


def test_questions_are_as_hard_for_models_that_share_a_difficulty_seed():
    def rates(seed, difficulty):
        model = api(p_gen=0.5, correlation=0.8, seed=seed, difficulty_seed=difficulty)
        replies = [model.replies(f"{i}?", GenerateConfig())[0] for i in range(300)]
        return [reply.chances["42"] for reply in replies], [reply.answer for reply in replies]

    (a, texts), (b, others), (c, _) = rates(1, 9), rates(2, 9), rates(2, 10)
    assert a == b != c
    assert texts != others
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.2


def test_a_swapped_pair_is_as_hard():
    model = api(p_comp=0.7, correlation=0.9)
    for i in range(30):
        first = model.replies(f"{i} {pair('42', '41')}", GenerateConfig())[0].chances["1"]
        swapped = model.replies(f"{i} {pair('41', '42')}", GenerateConfig())[0].chances["1"]
        assert first == pytest.approx(1 - swapped)


def test_several_choices_are_the_next_draws():
    alone, together = api(p_gen=0.5, seed=3), api(p_gen=0.5, seed=3)
    singles = [output.completion for output in outputs(alone, QUESTION, 6)]
    [four] = outputs(together, QUESTION, num_choices=4)
    [two] = outputs(together, QUESTION, num_choices=2)
    assert [choice.message.text for choice in four.choices + two.choices] == singles
    assert four.usage.output_tokens == sum(len(text.split()) for text in singles[:4])


def test_a_seed_of_the_call_settles_its_reply():
    model = api(p_gen=0.5)
    by_seed = [outputs(model, QUESTION, 3, seed=seed) for seed in range(8)]
    texts = [{output.completion for output in three} for three in by_seed]
    assert all(len(found) == 1 for found in texts)
    assert len(set.union(*texts)) == 8
    [several] = outputs(model, QUESTION, seed=0, num_choices=3)
    assert len({choice.message.text for choice in several.choices}) == 3
    assert {several.choices[0].message.text} == texts[0]
    # and leaves the sequence of calls without a seed alone
    assert outputs(model, QUESTION)[0].completion == outputs(api(p_gen=0.5), QUESTION)[0].completion


def test_stop_sequences_and_max_tokens_cut():
    model = api(p_gen=1.0)
    [full] = outputs(model, QUESTION, seed=1)
    [stopped] = outputs(model, QUESTION, seed=1, stop_seqs=["\nANSWER", "nowhere"])
    assert stopped.completion == full.completion.split("\nANSWER")[0]
    assert stopped.stop_reason == "stop"
    [short] = outputs(model, QUESTION, seed=1, max_tokens=3, logprobs=True)
    assert short.completion.split() == full.completion.split()[:3]
    assert short.stop_reason == "max_tokens"
    assert short.usage.output_tokens == 3
    assert [row.token.strip() for row in short.choices[0].logprobs.content] == short.completion.split()
    assert outputs(model, QUESTION, seed=1, max_tokens=7)[0].stop_reason == "stop"


def test_replies_do_not_depend_on_the_order_of_calls():
    arguments = {"p_choice": 0.5, "sensitivity": 0.5, "specificity": 0.5, "scale": (1, 10), "refusal": 0.2}
    arguments |= {"p_gen": 0.5, "correlation": 0.3, "unparsable": 0.1, "seed": 5}
    prompts = [QUESTION, CHOICE, judged("42"), judged("41", "Score it."), pair("42", "41")] * 8

    async def ask(order):
        model = api(**arguments)
        calls = [
            model.generate([ChatMessageUser(content=prompts[i])], [], "auto", GenerateConfig()) for i in order
        ]
        found = await asyncio.gather(*calls)
        return sorted((prompts[i], output.completion) for i, output in zip(order, found, strict=True))

    straight = asyncio.run(ask(range(len(prompts))))
    shuffled = asyncio.run(ask(np.random.default_rng(0).permutation(len(prompts)).tolist()))
    assert straight == shuffled
    assert len(set(straight)) > 15


def test_the_command_line(tmp_path):
    """`inspect eval` with -M arguments on two samples, where a package with pyproject's entry point is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = tmp_path / "installed-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[inspect_ai]\nsillok = {project['entry-points']['inspect_ai']['sillok']}\n"
    )
    (tmp_path / "sums.py").write_text(
        "from inspect_ai import Task, task\n"
        "from inspect_ai.dataset import Sample\n"
        "from inspect_ai.scorer import answer\n"
        "from inspect_ai.solver import generate\n"
        "@task\n"
        "def sums():\n"
        "    data = [Sample(input='2 + 2?', target='4'), Sample(input='3 + 3?', target='7')]\n"
        "    return Task(dataset=data, solver=generate(), scorer=answer('word'))\n"
    )
    arguments = ["p_gen=1.0", "seed=3", "right={2 + 2: 4, 3 + 3: 6}", "wrong_answers=5,8", "scale=1,10"]
    command = [sys.executable, "-m", "inspect_ai", "eval", "sums.py", "--model", "sillok/simulated"]
    command += [part for argument in arguments for part in ("-M", argument)]
    command += ["--log-dir", str(tmp_path / "logs"), "--display", "none"]
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    subprocess.run(
        command, cwd=tmp_path, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": path}
    )
    [log] = (tmp_path / "logs").iterdir()
    found = read_eval_log(str(log))
    assert found.status == "success"
    assert [sample.output.completion.split("ANSWER: ")[1] for sample in found.samples] == ["4", "6"]
    assert [sample.scores["answer"].value for sample in found.samples] == ["C", "I"]


def test_arguments_may_be_text():
    text = api(
        p_gen="0.5",
        seed="3",
        right=42,
        wrong_answers=[41, 43],
        scale="1,10",
        sensitivity="1",
        specificity="1",
    )
    assert draws(text, QUESTION, 20) == draws(api(p_gen=0.5, seed=3), QUESTION, 20)
    assert draws(text, judged("42"), 1) == ["Yes"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"p_gne": 0.5}, "unknown argument 'p_gne'; there are: p_gen, p_comp"),
        ({"right": True}, r"right must be text \(quote a word such as yes\), not True"),
        ({"right": {}}, "right must name at least one question"),
        ({"seed": 1.5}, "seed must be an integer, not 1.5"),
        ({"seed": "x"}, "seed must be a finite number, not 'x'"),
        ({"length_bias": -2}, "length_bias must lie between -1 and 1"),
        ({"pair_tags": ["a"]}, "pair_tags must be 2 different texts"),
        ({"pair_tags": ["a", "answer"]}, "pair_tags and judged_tag must differ"),
        ({"judged_tag": "<a>"}, "tags must consist of letters, digits, - and _, not '<a>'"),
        ({"verdicts": ["a", "b", "b"]}, "verdicts must be 3 different texts"),
        ({"scale": [5, 1]}, "scale must be its lowest and its highest score"),
        ({"scale": "1-10"}, "scale must be a finite number, not '1-10'"),
        ({"quality": {}}, "quality must map answers to true scores"),
        ({"quality": {"42": "good"}}, r"quality\['42'\] must be a finite number"),
        ({"score_noise": -1}, "score_noise must be at least 0"),
        ({"score_form": "xml"}, "score_form must be one of tag, json, line, not 'xml'"),
        ({"sensitivity": 0.5}, "sensitivity and specificity must be given together"),
        ({"sensitivity": 0.5, "specificity": 2}, "specificity must lie between 0 and 1, not 2"),
        ({"truth": {"a": True}}, "truth must come with sensitivity and specificity"),
        (
            {"truth": {"a": 1}, "sensitivity": 1, "specificity": 1},
            "truth must map questions to true or false",
        ),
        ({"p_choice": 1.5}, "p_choice must lie between 0 and 1"),
        ({"preference": 0.2}, "preference must come with preferred"),
        ({"preferred": "AB"}, "preferred must be the letter of an option"),
        ({"correlation": 1}, "correlation must lie between 0 and 1, and below 1"),
        ({"refusal": True}, "refusal must lie between 0 and 1, not True"),
    ],
)
def test_bad_arguments(bad, message):
    with pytest.raises(ValueError, match=message) as caught:
        api(**bad)
    assert "\n" not in str(caught.value)


def test_a_judged_answer_of_no_known_quality():
    with pytest.raises(ValueError, match="quality names no question of this prompt: '\\\\n9\\\\n'"):
        draws(api(scale=(1, 5), quality={"42": 3}), judged("9", "Score it."), 1)


def test_measured_rates_are_the_stated_ones():
    rows = sim_model.measured_rates(2000, seed=3)
    assert len(rows) >= 16
    for row in rows:
        assert abs(row.measured - row.stated) < 3.5 * row.error, row
    with pytest.raises(ValueError, match="n must be an integer of at least 2; got 1"):
        sim_model.measured_rates(1)


def test_exhibits():
    shown = {exhibit.name: exhibit for exhibit in sim_model.exhibits(200)}
    assert set(shown) == {"conversation", "logprobs", "rates"}
    assert shown["conversation"].text.count("user:") == 5
    assert "B  p = 0.560" in shown["logprobs"].text
    assert sim_model.describe(200) == shown["rates"].text
