"""Time of INT8 attention, quantisation included, against FlashAttention-2 and others on one GPU."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from sillok.methods.attention.metrics import attention_error
from sillok.methods.attention.sage import int8_attention
from sillok.verify import Interleave, Measure, Paired, Run, Timed, Truth, trial

BATCH, HEADS = 4, 32
LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)
WIDTHS = (64, 128)
JUDGED_FROM = 4096  # tokens
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION,
            "efficient": SDPBackend.EFFICIENT_ATTENTION}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """One cell of the table: (batch, heads, tokens, width), causal or not."""

    tokens: int
    width: int
    causal: bool
    batch: int = BATCH
    heads: int = HEADS

    @property
    def metric(self) -> str:
        return f"d{self.width}_n{self.tokens}" + ("_causal" if self.causal else "")

    @property
    def operations(self) -> int:
        """Multiplications and additions of both products; a causal mask leaves half of them."""
        return 4 * self.batch * self.heads * self.tokens**2 * self.width // (2 if self.causal else 1)


SHAPES = tuple(Shape(n, d, causal) for d, n, causal in itertools.product(WIDTHS, LENGTHS, (False, True)))


class Inputs:
    """q, k, v of the shape asked for last: arms share them, and one shape is in memory at a time."""

    def __init__(self) -> None:
        self._key: object = None
        self._held: tuple[Tensor, Tensor, Tensor] | None = None

    def get(self, shape: Shape, seed: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
        """float16 (batch, heads, tokens, width), the same for the same seed."""
        key = (shape.batch, shape.heads, shape.tokens, shape.width, seed, device)
        if key != self._key:
            self._key = self._held = None  # free the old ones first
            generator = torch.Generator(device).manual_seed(seed)
            size = (shape.batch, shape.heads, shape.tokens, shape.width)
            q, k, v = (
                torch.randn(size, generator=generator, device=device, dtype=torch.float16) for _ in range(3)
            )
            self._key, self._held = key, (q, k, v)
        return cast(tuple[Tensor, Tensor, Tensor], self._held)


SHARED, PACKAGE = Inputs(), Inputs()  # package 1.0.6 changes the keys it is given: it gets its own


def attention_of(arm: str, fault: bool = False) -> Callable[..., Tensor]:
    """``attention(q, k, v, is_causal=...)`` of an arm.

    Raises:
        ModuleNotFoundError: arm "package" without the package sageattention.
    """
    if arm == "int8":
        # the fault: the same arithmetic, and none of the fusion
        backend = "torch" if fault else "triton"
        return lambda q, k, v, is_causal: cast(
            Tensor, int8_attention(q, k, v, is_causal=is_causal, backend=cast(Any, backend))
        )
    if arm == "package":
        package = importlib.import_module("sageattention")
        return lambda q, k, v, is_causal: package.sageattn(q, k, v, is_causal=is_causal)
    kernel = BACKENDS[arm]

    def forced(q: Tensor, k: Tensor, v: Tensor, is_causal: bool) -> Tensor:
        with sdpa_kernel(kernel):
            return scaled_dot_product_attention(q, k, v, is_causal=is_causal)

    return forced


def runnable(call: Callable[[], object], run: Run, name: str) -> bool:
    """Whether a first call has enough memory; it also compiles what is to be compiled."""
    try:
        call()
        if run.device.startswith("cuda"):
            torch.cuda.synchronize()
    except torch.OutOfMemoryError:
        run.note(f"{name}: left out, the GPU's memory is too small")
        if run.device.startswith("cuda"):
            torch.cuda.empty_cache()
        return False
    return True


def calls_of(run: Run, shapes: tuple[Shape, ...]) -> dict[str, Callable[[], object]]:
    """What is timed, by metric: one call a shape, without those that memory forbids."""
    attention = attention_of(run.arm, run.fault)
    inputs, seed = PACKAGE if run.arm == "package" else SHARED, run.subseed("inputs")
    calls: dict[str, Callable[[], object]] = {}
    for done, shape in enumerate(shapes):

        def call(shape: Shape = shape) -> Tensor:
            return attention(*inputs.get(shape, seed, run.device), is_causal=shape.causal)

        if runnable(call, run, shape.metric):
            calls[shape.metric] = call
            run.note(f"{shape.metric}: {shape.operations / 1e12:.4g}e12 operations")
        run.progress(done + 1, len(shapes))
    return calls


def cosine(run: Run) -> float:
    """Similarity of the arm's output to SDPA's, on the shortest causal shape with biased keys."""
    q, k, v = SHARED.get(Shape(1024, 64, True), run.subseed("check"), run.device)
    k = k + 4 * torch.randn(k.shape[-1], generator=torch.Generator().manual_seed(0)).to(k)
    exact = scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)
    return attention_error(attention_of(run.arm, run.fault)(q, k, v, is_causal=True), exact)["cosine"]


@trial(
    paper="2410.02367",
    claim="speed",
    arms=("flash", "int8", "package", "cudnn", "efficient"),
    peers=("cudnn", "efficient"),
    measures={
        **{
            shape.metric: Measure(
                "s", "lower", timing=True, text=f"time of {shape.operations:.3g} operations"
            )
            for shape in SHAPES
        },
        "cosine": Measure("", "higher", text="cosine similarity to exact attention"),
        "installed": Measure("", text="1 where the arm's package is installed"),
    },
    minutes={"smoke": 1, "here": 8, "full": 20},
    needs=("attention", "gpu", "module:triton"),
    fault="the kernels are replaced by the same arithmetic in PyTorch calls",
    interleave=Interleave(warmup=3, repeats=20),
    memory_gb=16.0,
)
def speed(run: Run) -> Timed | dict[str, float]:
    """Median time of one call at (4, 32, N, D), smoothing and quantisation included, keys in a cold cache."""
    if run.arm == "package" and importlib.util.find_spec("sageattention") is None:
        run.note("sageattention is not installed: pip install sageattention==1.0.6 adds it to the comparison")
        return {"installed": 0.0}
    lengths = run.pick(smoke=(4096,), here=(1024, 4096, 16384), full=LENGTHS)
    shapes = tuple(s for s in SHAPES if s.tokens in lengths)
    return Timed(calls=calls_of(run, shapes), measures={"cosine": cosine(run), "installed": 1.0})


def judged(paired: Paired, arm: str) -> list[str]:
    """The shapes of at least 4,096 tokens that this arm and the baseline both ran in every seed."""
    found = []
    for shape in SHAPES:
        try:
            paired.values(shape.metric, arm), paired.values(shape.metric, paired.baseline)
        except ValueError:
            continue
        if shape.tokens >= JUDGED_FROM:
            found.append(shape.metric)
    return found


@speed.upheld_if
def _(paired: Paired) -> Truth:
    timed = judged(paired, "int8")
    truth = paired.mean("cosine", "int8").at_least(0.998) & bool(timed)
    for metric in timed:
        truth = truth & paired.ratio(metric, "int8").below(1.0)
    if (paired.values("installed", "package") == 1).all():
        for metric in judged(paired, "package"):
            if metric in timed:
                truth = truth & paired.ratio(metric, "int8", of="package").below(1.0)
    return truth
