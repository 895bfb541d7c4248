"""Error of INT8 attention with and without smoothed keys, against float64, on made and on captured inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from unittest import mock

import torch
from torch import Tensor

from sillok import testbeds
from sillok.methods.attention import sage
from sillok.methods.attention.metrics import attention_error, exact_attention
from sillok.methods.attention.sdpa import SDPACall, capture_sdpa
from sillok.verify import Measure, Paired, Run, Truth, trial

HEADS, BIASED = 4, 4  # heads, and channels of each whose keys are moved
WIDTHS = (64, 128)

Attention = Callable[..., Tensor]

ARMS: dict[str, Attention] = {
    "int8_plain": functools.partial(sage.int8_attention, smooth_k=False, backend="torch"),
    "int8_smooth": functools.partial(sage.int8_attention, backend="torch"),
    "int8_token": functools.partial(sage.int8_attention, qk_group="token", backend="torch"),
    "int8_pv8": functools.partial(sage.int8_attention, pv="int8", backend="torch"),
    "fp16": torch.nn.functional.scaled_dot_product_attention,
}


def wrong_sign() -> AbstractContextManager[object]:
    """The fault: the mean key is added where it should be subtracted."""
    right = sage.key_mean
    return mock.patch.object(sage, "key_mean", lambda k: -right(k))


def gaussian(run: Run, tokens: int, width: int, bias: float) -> tuple[Tensor, Tensor, Tensor]:
    """Half-precision q, k, v (1, HEADS, tokens, width); four channels of each head's keys are off by ``bias``.

    The noise and the channels, with their signs, are the same for every bias.
    """
    generator = run.generator(f"gaussian/{width}")
    q, k, v = (torch.randn((1, HEADS, tokens, width), generator=generator) for _ in range(3))
    offset = torch.zeros(HEADS, width)
    for head in offset:
        channels = torch.randperm(width, generator=generator)[:BIASED]
        head[channels] = bias * (2.0 * torch.randint(2, (BIASED,), generator=generator) - 1)
    return q.half(), (k + offset[None, :, None]).half(), v.half()


@functools.lru_cache(maxsize=4)
def bed(name: str) -> testbeds.Testbed:
    """A testbed with its trained model, loaded once a worker."""
    return testbeds.load(name, "s")


def captured(run: Run) -> list[SDPACall]:
    """What the attention layers of the flow and of the language model are given, on inputs of this seed."""
    images, levels = run.pick(smoke=2, here=8), run.pick(smoke=(0.5,), here=(0.1, 0.3, 0.5, 0.7, 0.9))
    windows, length = run.pick(smoke=1, here=4, full=16), run.pick(smoke=128, here=256)
    flow, corpus = bed("flow"), bed("corpus")
    data = flow.data("test", n=images, seed=run.subseed("images") % 2**31)
    noise = torch.randn(data.images.shape, generator=run.generator("noise"))
    texts = corpus.data("test", seq_len=length)
    chosen = torch.from_numpy(run.rng("windows").choice(len(texts), windows, replace=False))
    calls: list[SDPACall] = []
    with torch.no_grad():
        with capture_sdpa(flow.model) as seen:
            for level in levels:
                mixed = (1 - level) * data.images + level * noise
                flow.predict(flow.model, mixed, torch.tensor(1000 * level), data.labels)
        calls += [SDPACall(f"flow.{c.layer}", c.q, c.k, c.v, c.options) for c in seen]
        with capture_sdpa(corpus.model) as seen:
            corpus.model(texts[chosen])
        calls += [SDPACall(f"corpus.{c.layer}", c.q, c.k, c.v, c.options) for c in seen]
    return [SDPACall(c.layer, c.q.half(), c.k.half(), c.v.half(), c.options) for c in calls]


def layer_errors(calls: list[SDPACall], attention: Attention) -> dict[str, dict[str, float]]:
    """`attention_error` layer by layer, over all calls of a layer together."""
    outputs: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    for call in calls:
        ours, exact = outputs.setdefault(call.layer, ([], []))
        ours.append(call.run(attention).flatten())
        exact.append(call.run(exact_attention).flatten())
    return {layer: attention_error(torch.cat(a), torch.cat(b)) for layer, (a, b) in outputs.items()}


@trial(
    paper="2410.02367",
    claim="accuracy",
    version=2,  # the flow testbed was trained anew
    arms=tuple(ARMS),
    peers=("int8_token", "int8_pv8", "fp16"),
    measures={
        **{
            f"l1_{bias}_d{width}": Measure(
                "", "lower", text=f"relative L1, keys off by {bias} sigma, head dimension {width}"
            )
            for width in WIDTHS
            for bias in (0, 20)
        },
        "layer_gap": Measure("", "lower", text="1 - cosine similarity, mean over captured layers"),
        "layer_gap_worst": Measure("", "lower", text="1 - cosine similarity of the worst captured layer"),
        "layer_l1": Measure("", "lower", text="relative L1, mean over captured layers"),
        "layer_rmse": Measure("", "lower", text="root mean square error, mean over captured layers"),
    },
    minutes={"smoke": 0.2, "here": 3, "full": 20},
    needs=("attention",),
    fault="the mean key is added instead of subtracted",
)
def accuracy(run: Run) -> dict[str, float]:
    """Error against float64 as key channels drift from zero, and in the layers of two trained transformers."""
    attention = ARMS[run.arm]
    tokens = run.pick(smoke=256, here=1024, full=4096)
    biases = run.pick(smoke=(0, 20), here=(0, 5, 10, 15, 20))
    measures: dict[str, float] = {}
    with wrong_sign() if run.fault else nullcontext():
        for width in WIDTHS:
            errors = []
            for bias in biases:
                q, k, v = gaussian(run, tokens, width, bias)
                errors.append(attention_error(attention(q, k, v), exact_attention(q, k, v))["relative_l1"])
            measures |= {f"l1_{bias}_d{width}": errors[biases.index(bias)] for bias in (0, 20)}
            run.curve(
                "relative L1", biases, errors, x_label="bias of four key channels, sigma",
                y_label="relative L1", log="y", series=f"D = {width}",
            )  # fmt: skip
            run.progress(1 + WIDTHS.index(width), 1 + len(WIDTHS))
        layers = layer_errors(captured(run), attention)
    for layer, error in layers.items():
        run.note(f"{layer}: cosine {error['cosine']:.5f}, relative L1 {error['relative_l1']:.4f}")

    def mean(metric: str) -> float:
        return sum(error[metric] for error in layers.values()) / len(layers)

    return measures | {
        "layer_gap": 1 - mean("cosine"),
        "layer_gap_worst": 1 - min(error["cosine"] for error in layers.values()),
        "layer_l1": mean("relative_l1"),
        "layer_rmse": mean("rmse"),
    }


@accuracy.upheld_if
def _(paired: Paired) -> Truth:
    smoothing = paired.ratio("l1_20_d64").at_most(1 / 3) & paired.ratio("l1_20_d128").at_most(1 / 3)
    # cosine similarities of 99.9 % on average and 99.8 % in the worst layer
    layers = paired.mean("layer_gap").at_most(1e-3) & paired.mean("layer_gap_worst").at_most(2e-3)
    return smoothing & layers
