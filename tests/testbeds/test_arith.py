"""Arithmetic problems: exact algebra, splits, the verifier against Python's own arithmetic, planted faults."""

from __future__ import annotations

import random
import re
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.testbeds import arith
from sillok.testbeds.arith import algebra
from sillok.testbeds.arith.moves import moves, solve
from sillok.testbeds.arith.problems import LARGEST, LONGEST, is_story, statement_of, work
from sillok.testbeds.arith.verifier import REASONS

KINDS_OF_PROBLEM = {"sum", "product", "mixed", "nested", "equation", "story"}


@pytest.fixture(scope="module")
def some():
    return arith.problems("test", 90, seed=3, unique=True)


def python_value(text, x=None):
    """Python's own exact value of an expression, by its own parser."""
    spelled = re.sub(r"(?<=[0-9x)])(?=[x(])", "*", text)
    return eval(re.sub("[0-9]+", r"F(\g<0>)", spelled), {"F": Fraction, "x": x})


numbers = st.integers(0, 999).map(str)
expressions = st.recursive(
    numbers,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map("".join),
        inner.map("({})".format),
        inner.map("(-{})".format),
    ),
    max_leaves=7,
)


@given(expressions)
@settings(max_examples=200, deadline=None)
def test_values_are_pythons(text):
    try:
        expected = python_value(text)
    except ZeroDivisionError:
        with pytest.raises(algebra.Malformed, match="division by zero"):
            algebra.value(algebra.read(text))
        return
    except SyntaxError:
        expected = None
    try:
        statement = algebra.read(text)
    except algebra.Malformed as error:
        # "--1" is Python's and not this grammar's
        assert "-" in str(error) and "--" in text
        return
    assert algebra.value(statement) == expected
    assert algebra.value(algebra.read(algebra.show(statement))) == expected


@given(expressions)
@settings(max_examples=100, deadline=None)
def test_every_move_keeps_the_value(text):
    try:
        statement = algebra.read(text)
        expected = algebra.value(statement)
    except algebra.Malformed:
        return
    for step in moves(statement):
        assert algebra.value(step) == expected
        assert algebra.show(step) != algebra.show(statement)


@given(
    a=st.integers(1, 30),
    b=st.integers(0, 99),
    c=st.integers(1, 30),
    d=st.integers(0, 99),
    k=st.integers(1, 9),
)
@settings(max_examples=100, deadline=None)
def test_solutions_of_equations_solve_them(a, b, c, d, k):
    text = f"{k}({a}x+{b})={c}x-{d}"
    found = algebra.value(algebra.read(text))
    if k * a == c:
        assert found is None
    else:
        left, right = text.split("=")
        assert python_value(left, found) == python_value(right, found)
        for step in moves(algebra.read(text)):
            assert algebra.value(step) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("7+", "ends too early"),
        ("7**2", "unexpected"),
        ("(7", "not closed"),
        ("7)", "unexpected"),
        ("7=7=7", "more than one ="),
        ("٣+٤", "unknown character"),
        ("²", "unknown character"),
        ("1_000", "unknown character"),
        ("1e9", "unknown character"),
        ("x+10", "x outside"),
        ("x*x=4", "x times x"),
        ("4/x=2", "division by x"),
        ("1/(2-2)", "division by zero"),
        ("1" * 10, "number too long"),
        ("1+" * 80 + "1", "line too long"),
        ("(" * 20 + "1" + ")" * 20, "too deep"),
    ],
)
def test_what_cannot_be_read_is_said(text, words):
    with pytest.raises(algebra.Malformed, match=re.escape(words)):
        algebra.value(algebra.read(text))


@pytest.mark.parametrize("line", ["3(x+4)-5=40", "-7+2*(3-8)/5", "2*(-3)", "7-(-3*2)", "4-(2-(1-x))=6x"])
def test_text_comes_back(line):
    once = algebra.show(algebra.read(line))
    assert algebra.show(algebra.read(once)) == once
    assert algebra.value(algebra.read(once)) == algebra.value(algebra.read(line))


def test_problems_are_what_they_say(some):
    assert [p.level for p in some[:6]] == [1, 2, 3, 4, 5, 6]
    for problem in some:
        assert problem.kind in KINDS_OF_PROBLEM
        assert problem.steps[-1] in (str(problem.answer), f"x={problem.answer}")
        assert len(problem.prompt + problem.solution) <= LONGEST
        assert all(int(n) <= LARGEST for n in re.findall("[0-9]+", problem.prompt + problem.solution))
        if problem.kind == "equation":
            left, right = problem.text.split("=")
            assert python_value(left, Fraction(problem.answer)) == python_value(
                right, Fraction(problem.answer)
            )
        elif problem.kind != "story":
            assert python_value(problem.text) == problem.answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3 bags of 14, lose 9. left?", 33),
        ("3 boxes of 14 and 9 more. all?", 51),
        ("ann has 12, bob 5 more. both?", 29),
        ("ann has 12, bob 3 times as many. both?", 48),
        ("30 a day for 4 days, then 7 for 2. all?", 134),
    ],
)
def test_stories_ask_for_what_they_tell(text, answer):
    assert is_story(text)
    assert algebra.value(statement_of(text)) == answer
    assert work(text)[-1] == str(answer)
    assert arith.verify(text, "\n".join(work(text))).valid


def test_every_level_has_its_kinds_and_grows_harder():
    drawn = arith.problems("train", 600, seed=1)
    lengths = [sum(len(p.solution) for p in drawn if p.level == level) / 100 for level in arith.LEVELS]
    assert lengths == sorted(lengths)
    assert {p.kind for p in drawn if p.level == 4} == {"sum", "mixed", "nested", "equation", "story"}
    assert {p.kind for p in drawn} == KINDS_OF_PROBLEM


def test_splits_share_no_text():
    texts = {s: {p.text for p in arith.problems(s, 600, levels=(1, 2))} for s in arith.SPLITS}
    assert all(len(found) > 200 for found in texts.values())
    assert not (
        texts["train"] & texts["val"] or texts["train"] & texts["test"] or texts["val"] & texts["test"]
    )
    for split, found in texts.items():
        assert {arith.split_of(text) for text in found} == {split}


def test_problems_follow_the_seed():
    first = arith.problems("val", 30, seed=5)
    assert arith.problems("val", 12, seed=5) == first[:12]
    assert arith.problems("val", 30, seed=6) != first
    unique = arith.problems("test", 300, levels=(1,), unique=True)
    assert len({p.text for p in unique}) == 300


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: arith.problems("dev", 3), "split must be one of train, val, test; got 'dev'"),
        (lambda: arith.problems("val", 0), "n must be an integer of at least 1; got 0"),
        (
            lambda: arith.problems("val", 3, levels=(7,)),
            r"levels must be some of \(1, 2, 3, 4, 5, 6\); got \(7,\)",
        ),
        (lambda: arith.problems("val", 3, levels=()), "levels must be some of"),
        (lambda: arith.problems("val", 5000, levels=(1,), unique=True), "n must be at most about"),
        (lambda: arith.verify("how many?", "3"), "problem 'how many"),
        (lambda: arith.verify("x=x", "x=1"), "has no single solution"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_every_correct_solution_verifies(some):
    rng = random.Random(0)
    several = 0
    for problem in some:
        assert arith.verify(problem, problem.solution).valid
        ways = arith.all_solutions(problem, limit=6)
        assert problem.solution in ways
        several += len(ways) > 1
        for text in {*ways, arith.correct(problem, rng)}:
            verdict = arith.verify(problem, text)
            assert verdict.valid and verdict.answer == problem.answer
            assert verdict.labels == [True] * len(verdict.steps)
    assert several > 30  # more than one path is common, or the test above says little


def test_random_solutions_differ():
    rng = random.Random(1)
    problem = "12+7*8-5*6"
    assert len({"\n".join(work(problem, rng)) for _ in range(40)}) >= 4


@pytest.mark.parametrize("recovered", [True, False])
@pytest.mark.parametrize("kind", arith.KINDS)
def test_every_planted_fault_is_found_where_and_what_it_is(some, kind, recovered):
    rng = random.Random(2)
    found = 0
    added = kind in ("repeated", "circular", "contradiction")
    for problem in some:
        fault = arith.faulty(problem, rng, kind=kind, recovered=recovered)
        if fault is None:
            continue
        found += 1
        verdict = arith.verify(problem, fault.text)
        assert verdict.first_error == fault.first_error
        assert verdict.steps[fault.first_error].reason == fault.reason == (kind if added else "wrong")
        assert (fault.kind, fault.recovered, verdict.correct) == (kind, recovered, recovered)
        assert not verdict.valid
        lines = fault.text.split("\n")
        before = lines[fault.first_error - 1] if fault.first_error else problem.text
        if kind == "repeated":
            assert lines[fault.first_error] == before
        elif kind == "circular":
            assert lines[fault.first_error] in lines[: fault.first_error - 1]
        else:
            assert wrong_by_brute_force(problem, lines[fault.first_error])
        if not added:
            assert arith.diagnose(before, lines[fault.first_error]) == kind
            after = verdict.steps[fault.first_error + 1 :]
            assert all(step.right == recovered for step in after)
            assert all(
                step.reason in ({"unfounded", "after", ""} if recovered else {"carried"}) for step in after
            )
    assert found == 0 if added and not recovered else found >= 15


def wrong_by_brute_force(problem, line):
    """Whether a line is untrue of the problem, by Python's arithmetic."""
    if problem.kind == "equation":
        left, right = line.split("=")
        answer = Fraction(problem.answer)
        return python_value(left, answer) != python_value(right, answer)
    return python_value(line) != problem.answer


@pytest.mark.parametrize(
    ("before", "line", "kind"),
    [
        ("46+38", "85", "off_by_one"),
        ("46+38", "74", "carry"),
        ("46+38", "94", "carry"),
        ("146+238", "284", "carry"),
        ("46+38", "8", "operation"),
        ("12+7*8", "12+15", "operation"),
        ("12+7*8-5", "12-56-5", "sign"),
        ("4x+7=39", "4x=39+7", "sign"),
        ("12+7*8-5", "12+56", "dropped"),
        ("4x+7=39", "4x=39", "dropped"),
        ("12+7*8-5", "17+56-5", "copied"),
        ("46+38", "84", None),
        ("46+38", "2", None),
        ("1+2", "2", None),  # off by one, or the 1 times the 2
    ],
)
def test_each_kind_of_fault_is_what_its_name_says(before, line, kind):
    assert arith.diagnose(before, line) == kind


def test_faults_follow_the_generator_and_cover_all_kinds(some):
    kinds = [arith.faulty(p, random.Random(i)) for i, p in enumerate(some)]
    assert kinds == [arith.faulty(p, random.Random(i)) for i, p in enumerate(some)]
    assert {fault.kind for fault in kinds} == set(arith.KINDS)
    with pytest.raises(ValueError, match="kind must be one of off_by_one, carry"):
        arith.faulty(some[0], random.Random(0), kind="typo")
    with pytest.raises(ValueError, match="a line cannot be read"):
        arith.diagnose("1+", "2")


@pytest.mark.parametrize(
    ("problem", "text", "reasons", "correct"),
    [
        ("12+7*8-5", "12+56-5\n68-5\n63", ["", "", ""], True),
        ("12+7*8-5", "63", [""], True),
        ("12+7*8-5", "12+56-5\n68-5\n63\n", ["", "", ""], True),
        ("12+7*8-5", "12 + 56 - 5\n 68-5\n63 ", ["", "", ""], True),
        ("12+7*8-5", "12+54-5\n66-5\n61", ["wrong", "carried", "carried"], False),
        ("12+7*8-5", "12+54-5\n68-5\n63", ["wrong", "unfounded", ""], True),
        ("12+7*8-5", "12+56-5\n67-5\n63", ["", "wrong", "unfounded"], True),
        ("12+7*8-5", "12+56-5\n12+56-5\n63", ["", "repeated", ""], True),
        ("12+7*8-5", "12+7*8-5\n63", ["repeated", ""], True),
        ("12+7*8-5", "12+56-5\n68-5\n12+56-5\n63", ["", "", "circular", ""], True),
        ("12+7*8-5", "12+56-5\n12+54-5\n61", ["", "contradiction", "carried"], False),
        ("12+7*8-5", "63\n62", ["", "contradiction"], False),
        ("12+7*8-5", "63\n60+3", ["", "after"], False),
        ("12+7*8-5", "12+56-5\nso\n63", ["", "malformed", ""], True),
        ("12+7*8-5", "x=63", ["malformed"], False),
        ("12+7*8-5", "12+56-5", [""], False),
        ("12+7*8-5", "126/2", [""], False),
        ("12+7*8-5", "", [], False),
        ("4x+7=39", "4x=39-7\n4x=32\nx=8", ["", "", ""], True),
        ("4x+7=39", "4x=39-7\n8=x", ["", ""], False),
        ("4x+7=39", "8", ["malformed"], False),
        ("4x+7=39", "4x=39+7\n4x=46\nx=46/4", ["wrong", "carried", "carried"], False),
        ("4x+7=39", "0x=0\nx=8", ["wrong", "unfounded"], True),
        ("3 bags of 14, lose 9. left?", "3*14-9\n42-9\n33", ["", "", ""], True),
    ],
)
def test_verdicts(problem, text, reasons, correct):
    verdict = arith.verify(problem, text)
    assert [step.reason for step in verdict.steps] == reasons
    assert verdict.correct is correct
    assert verdict.first_error == next((i for i, reason in enumerate(reasons) if reason), None)
    assert all(text[step.start : step.end].rstrip("\n") == step.text for step in verdict.steps)


@pytest.mark.parametrize(
    "text",
    [
        "9" * 10**6,
        "(" * 10**6,
        "-" * 10**6,
        "\n" * 10**6,
        "1+1\n" * 10**5,
        "9999*" * 10**5 + "1",
        "٣" * 1000,
        "\ud800\0\x7f",
        "999999999*" * 15 + "999999999",
        "1/" * 70 + "3",
        "(" * 79 + ")" * 79,
        "=" * 100,
        "63" + " " * 10**6,
    ],
)
def test_adversarial_text_is_answered_at_once(text):
    began = time.process_time()
    verdict = arith.verify("12+7*8-5", text)
    assert time.process_time() - began < 1  # of processor time: a guard against blow-up, not a figure
    assert not verdict.correct
    assert len(verdict.steps) <= 48
    assert verdict.cut == (len(text) > 4096)


@given(st.text(alphabet="0123456789+-*/()=x \n", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_gets_a_verdict(text):
    verdict = arith.verify("12+7*8-5", text)
    assert "".join(text[s.start : s.end] for s in verdict.steps) == text
    for step in verdict.steps:
        assert step.ok == (step.reason == "")
        assert step.formed == (step.reason != "malformed")
        assert step.reason in REASONS
        if step.formed:
            assert step.right == (plain_value(step.text) == 63)


def plain_value(line):
    """Python's value; leading zeros are this grammar's and not Python's, and go first."""
    compact = re.sub(r"(?<![0-9])0+(?=[0-9])", "", line.replace(" ", ""))
    return python_value(compact)


def test_what_no_rule_solves_is_none():
    assert solve(algebra.read("7x=2x+3")) is None  # 3/5 is no integer
    assert [algebra.show(step) for step in solve(algebra.read("7x=2x+15"))] == [
        "7x-2x=15",
        "5x=15",
        "x=15/5",
        "x=3",
    ]


def test_verdict_text_names_what_is_wrong():
    problem = arith.problems("val", 1)[0]
    shown = arith.verdict_text(problem, arith.verify(problem, "?\n0"))
    assert shown.splitlines()[0] == problem.text
    assert "malformed (unknown character)" in shown.splitlines()[1]
