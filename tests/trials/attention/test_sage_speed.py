"""The speed trial's pieces that need no GPU: shapes, counts, forced backends, memory, rule. No timing."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends
from torch.nn.functional import scaled_dot_product_attention

from sillok.methods.attention.sdpa import replace_sdpa
from sillok.trials.attention import sage_speed
from sillok.trials.attention.sage_speed import (
    SHAPES,
    Inputs,
    Shape,
    attention_of,
    calls_of,
    cosine,
    judged,
    speed,
)
from sillok.verify import Run, Timed, Truth
from sillok.verify.stats import Paired

SMALL = (Shape(128, 32, False, 1, 2), Shape(128, 32, True, 1, 2), Shape(256, 32, False, 1, 2))


def _run(arm: str, fault: bool = False) -> Run:
    return Run(arm=arm, seed=0, scale="smoke", fault=fault)


def test_operations() -> None:
    assert Shape(1024, 64, False).operations == 4 * 4 * 32 * 1024**2 * 64
    assert Shape(1024, 64, True).operations == 2 * 4 * 32 * 1024**2 * 64
    assert Shape(8, 2, False, batch=1, heads=1).operations == 2 * (8 * 8 * 2) + 2 * (8 * 8 * 2)


def test_every_shape_has_a_declared_metric_of_its_own() -> None:
    metrics = [shape.metric for shape in SHAPES]
    assert len(set(metrics)) == len(metrics) == 24
    assert all(speed.measures[metric].timing for metric in metrics)
    assert "d128_n32768_causal" in metrics
    assert speed.needs["smoke"] == ("attention", "gpu", "module:triton")


def test_arms_share_inputs_and_one_shape_is_held() -> None:
    inputs = Inputs()
    q, k, _ = inputs.get(SMALL[0], 5, "cpu")
    assert q.shape == (1, 2, 128, 32)
    assert q.dtype == torch.float16
    assert not torch.equal(q, k)
    assert inputs.get(SMALL[1], 5, "cpu")[0] is q  # causal or not: the same tensors
    other = inputs.get(SMALL[2], 5, "cpu")[0]
    assert other.shape[2] == 256
    again = inputs.get(SMALL[0], 5, "cpu")[0]
    assert again is not q
    assert torch.equal(again, q)
    assert not torch.equal(inputs.get(SMALL[0], 6, "cpu")[0], q)


@pytest.mark.parametrize(
    ("arm", "backend"),
    [
        ("flash", SDPBackend.FLASH_ATTENTION),
        ("cudnn", SDPBackend.CUDNN_ATTENTION),
        ("efficient", SDPBackend.EFFICIENT_ATTENTION),
    ],
)
def test_sdpa_is_forced_to_one_backend(arm: str, backend: SDPBackend) -> None:
    seen = []

    def handle(call, original):
        seen.append((_cur_sdpa_kernel_backends(), call.options["is_causal"]))
        return call.q

    q = torch.ones(1, 1, 8, 4)
    before = _cur_sdpa_kernel_backends()
    with replace_sdpa(handle):
        attention_of(arm)(q, q, q, is_causal=True)
    assert seen == [([backend], True)]
    assert _cur_sdpa_kernel_backends() == before


def test_flash_gives_what_sdpa_gives() -> None:
    q, k, v = (x.float() for x in Inputs().get(SMALL[1], 1, "cpu"))
    torch.testing.assert_close(
        attention_of("flash")(q, k, v, is_causal=True), scaled_dot_product_attention(q, k, v, is_causal=True)
    )


def test_the_method_asks_for_its_kernel_and_the_fault_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(sage_speed, "int8_attention", lambda q, k, v, **options: asked.append(options))
    q = torch.ones(1, 1, 8, 4)
    attention_of("int8")(q, q, q, is_causal=True)
    attention_of("int8", fault=True)(q, q, q, is_causal=False)
    assert asked == [{"is_causal": True, "backend": "triton"}, {"is_causal": False, "backend": "torch"}]


def test_the_package_gets_keys_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 1.0.6 subtracts the mean from the keys that it is given."""

    def sageattn(q, k, v, is_causal):
        k -= k.mean(-2, keepdim=True) + 1
        return q

    monkeypatch.setitem(sys.modules, "sageattention", types.SimpleNamespace(sageattn=sageattn))
    run = _run("package")
    shared = sage_speed.SHARED.get(SMALL[0], run.subseed("inputs"), "cpu")
    before = shared[1].clone()
    calls_of(run, SMALL[:1])[SMALL[0].metric]()
    assert torch.equal(shared[1], before)


def test_without_the_package_its_arm_says_so() -> None:
    run = _run("package")
    assert speed.body(run) == {"installed": 0.0}
    assert "sageattention is not installed" in run.notes[0]


def test_what_memory_forbids_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def attention(q, k, v, is_causal):
        if q.shape[2] > 128:
            raise torch.OutOfMemoryError("too large")
        return q

    monkeypatch.setattr(sage_speed, "attention_of", lambda arm, fault: attention)
    run = _run("int8")
    assert list(calls_of(run, SMALL)) == [SMALL[0].metric, SMALL[1].metric]
    assert any("d32_n256: left out" in note for note in run.notes)


def test_a_call_computes_its_own_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def attention(q, k, v, is_causal):
        seen.append((q.shape[2], is_causal))

    monkeypatch.setattr(sage_speed, "attention_of", lambda arm, fault: attention)
    calls = calls_of(_run("int8"), SMALL)
    seen.clear()
    for shape in SMALL:
        calls[shape.metric]()
    assert seen == [(128, False), (128, True), (256, False)]


def test_the_body_returns_calls_of_its_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sage_speed, "calls_of", lambda run, shapes: {s.metric: print for s in shapes})
    monkeypatch.setattr(sage_speed, "cosine", lambda run: 1.0)
    timed = speed.body(_run("flash"))
    assert isinstance(timed, Timed)
    assert set(timed.calls) == {"d64_n4096", "d64_n4096_causal", "d128_n4096", "d128_n4096_causal"}
    full = speed.body(Run(arm="flash", seed=0, scale="full"))
    assert isinstance(full, Timed)
    assert len(full.calls) == 24


def test_an_output_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sage_speed, "Shape", lambda *_: SMALL[1])
    assert cosine(_run("int8", fault=True)) > 0.998
    monkeypatch.setattr(sage_speed, "attention_of", lambda arm, fault: lambda q, k, v, is_causal: v)
    assert cosine(_run("int8")) < 0.9


def _paired(
    int8: float, cosine: float = 1.0, package: float | None = None, metrics: tuple[str, ...] = ("d64_n4096",)
) -> Paired:
    def rows(seconds: float, installed: float = 1.0) -> dict[int, dict[str, float]]:
        times = dict.fromkeys(metrics, seconds) if installed else {}
        extra = {"installed": installed} | ({"cosine": cosine} if installed else {})
        return {s: {m: t * (1 + s / 1000) for m, t in times.items()} | extra for s in range(5)}

    table = {"flash": rows(1.0), "int8": rows(int8)}
    table["package"] = rows(package, 1.0) if package is not None else rows(0.0, 0.0)
    return Paired(("flash", "int8", "package"), table, "here")


@pytest.mark.parametrize(
    ("paired", "truth"),
    [
        (_paired(0.5), Truth.YES),
        (_paired(1.0), Truth.NO),  # the placebo
        (_paired(1.5), Truth.NO),
        (_paired(0.5, package=0.8), Truth.YES),
        (_paired(0.5, package=0.4), Truth.NO),
        (_paired(0.5, cosine=0.9), Truth.NO),
        (_paired(2.0, metrics=("d64_n1024",)), Truth.NO),  # nothing long enough was measured
        (_paired(0.5, metrics=()), Truth.NO),
    ],
)
def test_rule(paired: Paired, truth: Truth) -> None:
    assert speed.rule is not None
    assert speed.rule(paired) is truth


def test_short_shapes_are_shown_and_not_judged() -> None:
    paired = _paired(0.5, metrics=("d64_n1024", "d64_n4096", "d128_n16384_causal"))
    assert judged(paired, "int8") == ["d64_n4096", "d128_n16384_causal"]
