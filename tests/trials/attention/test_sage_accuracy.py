"""The accuracy trial's pieces: its inputs, its fault, and what its rule says of made tables."""

from __future__ import annotations

import pytest
import torch

from sillok.methods.attention import sage
from sillok.methods.attention.sdpa import SDPACall
from sillok.trials.attention.sage import ARMS, accuracy, gaussian, layer_errors, wrong_sign
from sillok.verify import Run, Truth
from sillok.verify.stats import Paired


def _run(arm: str = "int8_smooth", seed: int = 0) -> Run:
    return Run(arm=arm, seed=seed, scale="smoke")


def test_bias_moves_four_channels_of_the_keys_and_nothing_else() -> None:
    (q, k, v), (q20, k20, v20) = (gaussian(_run(), 64, 32, bias) for bias in (0.0, 20.0))
    assert torch.equal(q, q20)
    assert torch.equal(v, v20)
    moved = (k20 - k).float().mean(-2)[0]
    assert ((moved.abs() > 19).sum(-1) == 4).all()
    assert ((moved.abs() < 0.1).sum(-1) == 28).all()


def test_arms_of_a_seed_see_the_same_inputs_and_seeds_differ() -> None:
    ours, base = gaussian(_run(), 64, 32, 5.0), gaussian(_run("int8_plain"), 64, 32, 5.0)
    assert all(torch.equal(a, b) for a, b in zip(ours, base, strict=True))
    assert not torch.equal(ours[0], gaussian(_run(seed=1), 64, 32, 5.0)[0])


def test_the_fault_breaks_the_method_and_ends() -> None:
    q, k, v = gaussian(_run(), 128, 64, 20.0)
    right = ARMS["int8_smooth"](q, k, v)
    with wrong_sign():
        wrong = ARMS["int8_smooth"](q, k, v)
        assert (sage.key_mean(k) + k.float().mean(-2, keepdim=True)).abs().max() < 1e-5
    assert (wrong - right).abs().max() > 0.01
    assert torch.equal(ARMS["int8_smooth"](q, k, v), right)


def test_errors_of_a_layer_are_over_all_of_its_calls() -> None:
    q, k, v = gaussian(_run(), 64, 32, 0.0)
    calls = [SDPACall(layer, q, k, value, {}) for layer, value in (("a", v), ("a", 2 * v), ("b", v))]
    found = layer_errors(calls, lambda q, k, v: torch.zeros_like(q) + 1e-3)
    assert list(found) == ["a", "b"]
    assert found["a"]["rmse"] == pytest.approx(found["b"]["rmse"] * 2.5**0.5, rel=0.01)


def _table(smooth: float, cosine: float, worst: float) -> Paired:
    def row(l1: float, seed: int) -> dict[str, float]:
        return {
            "l1_20_d64": l1 * (1 + 0.01 * seed),
            "l1_20_d128": l1,
            "layer_gap": 1 - cosine,
            "layer_gap_worst": 1 - worst,
        }

    arms = {"int8_plain": 0.05, "int8_smooth": smooth}
    return Paired(tuple(arms), {arm: {s: row(l1, s) for s in range(5)} for arm, l1 in arms.items()}, "here")


@pytest.mark.parametrize(
    ("smooth", "cosine", "worst", "truth"),
    [
        (0.012, 0.9999, 0.9995, Truth.YES),
        (0.05, 0.9999, 0.9995, Truth.NO),  # the placebo: nothing gained
        (0.09, 0.9999, 0.9995, Truth.NO),  # the fault: worse than without
        (0.012, 0.9985, 0.9981, Truth.NO),
        (0.012, 0.9995, 0.997, Truth.NO),
    ],
)
def test_rule(smooth: float, cosine: float, worst: float, truth: Truth) -> None:
    assert accuracy.rule is not None
    assert accuracy.rule(_table(smooth, cosine, worst)) is truth


def test_the_rule_looks_at_the_method_against_the_baseline() -> None:
    assert accuracy.judged == ("int8_plain", "int8_smooth")
