"""FlowChef against the gradient through the whole network: inverse problems and classifier guidance on shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sillok.methods.diffusion.flowchef import (
    Cost,
    SteeredFlowMatchScheduler,
    classifier_cost,
    inverse_cost,
)
from sillok.methods.diffusion.operators import BicubicDown, BoxMask, GaussianBlur, LinearOperator
from sillok.testbeds import load
from sillok.testbeds.pictures import grid, unit
from sillok.testbeds.scores import frechet_distance, predict
from sillok.trials.diffusion.loop import denoise
from sillok.verify import Interleave, Measure, Paired, Run, Timed, Truth, trial

# The authors' box of 20 and blur of sigma 5 on 64 pixels, at the same share of 32; their kernel and noise.
PROBLEMS: dict[str, LinearOperator] = {
    "box": BoxMask(10),
    "sr2": BicubicDown(2),
    "blur": GaussianBlur(11, 2.5),
}
NOISE = 0.05
STEPS = 50

# Every arm has the scale that served it best on 16 held-out images of the validation split (`sweep`, seed
# 10,000), of one grid: for each problem by PSNR, for the classifier by the share that the judge recognises.
GRID = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
SCALE: dict[str, dict[str, float]] = {
    "full": {"box": 0.25, "sr2": 0.25, "blur": 0.25, "classifier": 0.25},
    "flowchef": {"box": 0.125, "sr2": 0.125, "blur": 1.0, "classifier": 0.25},
}
HELD, SWEEP_SEED = 16, 10_000


class FullJacobian(SteeredFlowMatchScheduler):
    """The baseline: the gradient of the same cost with respect to x, through the network (DPS, FreeDoM).

    The network must have been run on this very x with gradients on (`network_of`).
    """

    def _steer(self, model_output: Tensor, sample: Tensor) -> Tensor:
        if self.step_index >= len(self.sigmas) - 2 or self._cost is None:
            return sample.detach()
        with torch.enable_grad():
            x0 = sample - self.sigmas[self.step_index] * model_output
            (gradient,) = torch.autograd.grad(self._cost(x0).sum(), sample)
        return sample.detach() - self._scale * gradient


class WrongSign(SteeredFlowMatchScheduler):
    """The planted fault: x0 is predicted as x + sigma v."""

    @staticmethod
    def _offset(velocity: Tensor, sigma: Tensor) -> Tensor:
        return -sigma * velocity


def scheduler_for(arm: str, fault: bool = False) -> SteeredFlowMatchScheduler:
    """The arm's scheduler, as the testbed's own is configured."""
    kind = FullJacobian if arm == "full" else WrongSign if fault else SteeredFlowMatchScheduler
    return kind(num_train_timesteps=1000, shift=1.0)


class Meter:
    """Network evaluations, and bytes of activations that autograd keeps, each storage counted once.

    Args:
        model: whose weights, which are there in any case, do not count.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self.calls, self.saved = 0, 0

    def watch(self, call: Callable[[], Tensor]) -> Tensor:
        """`call()`, a network evaluation, counted."""
        kept: dict[int, int] = {}

        def pack(x: Tensor) -> Tensor:
            storage = x.untyped_storage()
            if storage.data_ptr() not in self.weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return x

        self.calls += 1
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            out = call()
        self.saved = max(self.saved, sum(kept.values()))
        return out


def network_of(bed: Any, arm: str, meter: Meter | None = None) -> Callable[[Tensor, Tensor], Tensor]:
    """The testbed's unconditional velocity; of the baseline with its graph, on x itself."""

    def network(x: Tensor, t: Tensor) -> Tensor:
        def call() -> Tensor:
            with torch.set_grad_enabled(arm == "full"):
                if arm == "full":
                    x.requires_grad_()
                velocity: Tensor = bed.predict(bed.model, x, t, bed.unconditional(len(x)).to(x.device))
                return velocity

        return call() if meter is None else meter.watch(call)

    return network


def steer(
    bed: Any,
    arm: str,
    cost: Cost,
    scale: float,
    noise: Tensor,
    steps: int = STEPS,
    *,
    fault: bool = False,
    meter: Meter | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Images (B, 3, H, W) drawn from `noise` and led by a cost in the arm's way, or not at all ("unguided")."""

    def prepare(scheduler: Any) -> None:
        if arm != "unguided":
            scheduler.set_cost(cost, scale=scale)

    return denoise(
        network_of(bed, arm, meter),
        scheduler_for(arm, fault),
        None,
        noise,
        {},
        steps,
        on_step=on_step,
        prepare=prepare,
    ).clamp(-1, 1)


def climbed(cost: Cost) -> Cost:
    """The planted fault of classifier guidance: a cost whose descent is the other's climb."""
    return lambda x0: -cost(x0)


def measured(operator: LinearOperator, images: Tensor, seed: int) -> Tensor:
    """y = A x + noise."""
    clean = operator.forward(images)
    generator = torch.Generator().manual_seed(seed)
    return clean + NOISE * torch.randn(clean.shape, generator=generator).to(clean)


def psnr(images: Tensor, truth: Tensor) -> Tensor:
    """(B,) peak signal-to-noise ratio in dB of images in [-1, 1]."""
    return 10 * torch.log10(4 / (images - truth).square().flatten(1).mean(1).clamp_min(1e-10))


def recognised(bed: Any, images: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    """The share that the judge of half the resolution takes for its label, and the judge's features.

    It is not the classifier that leads: that one would be fooled by what was made to please it.
    """
    half = torch.nn.functional.avg_pool2d(images, images.shape[-1] // bed.pixels)
    logits, _, features = predict(bed.model, half.cpu())
    return float((logits.argmax(1) == labels).double().mean()), features


def sweep(arm: str, problem: str, steps: int = STEPS, scales: tuple[float, ...] = GRID) -> dict[float, float]:
    """Mean PSNR of a problem (or the recognised share for "classifier") on the held-out images, by scale."""
    bed, guide, judge = load("flow", "s"), load("shapes", "s"), load("shapes", "xs")
    noise = bed.noise(HELD, seed=SWEEP_SEED)
    truth = bed.data("val", n=HELD, seed=SWEEP_SEED).images
    labels = torch.arange(HELD) % bed.null
    found = {}
    for scale in scales:
        try:
            if problem == "classifier":
                images = steer(bed, arm, classifier_cost(guide.model, labels), scale, noise, steps)
                found[scale] = recognised(judge, images, labels)[0]
            else:
                cost = inverse_cost(PROBLEMS[problem], measured(PROBLEMS[problem], truth, SWEEP_SEED))
                found[scale] = float(psnr(steer(bed, arm, cost, scale, noise, steps), truth).mean())
        except ValueError:  # the gradient overflowed
            found[scale] = -float("inf")
    return found


@trial(
    paper="2412.00100",
    claim="inverse",
    arms=("full", "flowchef", "unguided"),
    peers=("unguided",),
    measures={f"psnr_{name}": Measure("dB", "higher") for name in PROBLEMS}
    | {
        f"residual_{name}": Measure("", "lower", text=f"root mean square of A x - y; the noise is {NOISE}")
        for name in PROBLEMS
    }
    | {
        "psnr_inside": Measure("dB", "higher", text="of the box alone, of which nothing was seen"),
        "seconds": Measure("s", "lower", timing=True, text="16 images, 6 steps, box"),
        "evaluations": Measure("", "lower", text="of the network, a problem and image"),
        "saved": Measure("MB", "lower", text="kept of the network for a backward pass, 16 images"),
    },
    minutes={"smoke": 0.5, "here": 6, "full": 30},
    needs=("diffusion",),
    interleave=Interleave(warmup=1, repeats=7),
    fault="the clean image is predicted with the velocity's sign reversed, x + sigma v",
)
def inverse(run: Run) -> Timed:
    """PSNR of box inpainting, super-resolution and deblurring, with time and memory of the two gradients."""
    count = run.pick(smoke=2, here=32, full=128)
    steps = run.pick(smoke=4, here=STEPS, full=100)
    bed = load("flow", "s")
    bed.model.to(run.device)
    truth = bed.data("test", n=count, seed=run.seed).images.to(run.device)
    noise = torch.randn(truth.shape, generator=run.generator("noise")).to(run.device)
    fault = run.fault and run.arm == "flowchef"
    found: dict[str, float] = {}
    total = len(PROBLEMS) * steps * -(-count // 32)
    done = 0

    def tick(step: int, x: Tensor) -> None:
        nonlocal done
        done += 1
        run.progress(done, total)

    meter = Meter(bed.model)
    for name, operator in PROBLEMS.items():
        y = measured(operator, truth, run.subseed(name) % 2**31)
        scale = SCALE.get(run.arm, {}).get(name, 0.0)
        parts = [
            steer(
                bed,
                run.arm,
                inverse_cost(operator, part),
                scale,
                start,
                steps,
                fault=fault,
                meter=meter,
                on_step=tick,
            )
            for part, start in zip(y.split(32), noise.split(32), strict=True)
        ]
        images = torch.cat(parts)
        found[f"psnr_{name}"] = float(psnr(images, truth).mean())
        found[f"residual_{name}"] = float((operator.forward(images) - y).square().mean().sqrt())
        if isinstance(operator, BoxMask):
            hole = operator.mask(*truth.shape[2:]) == 0
            found["psnr_inside"] = float(psnr(images[..., hole], truth[..., hole]).mean())
    found["evaluations"] = meter.calls / len(PROBLEMS) / -(-count // 32)

    size = min(count, 16)
    cost = inverse_cost(PROBLEMS["box"], measured(PROBLEMS["box"], truth[:size], 0))
    scale = SCALE.get(run.arm, {}).get("box", 0.0)

    def once(watch: Meter | None = None) -> None:
        steer(bed, run.arm, cost, scale, noise[:size], run.pick(smoke=2, here=6), fault=fault, meter=watch)

    meter = Meter(bed.model)
    once(meter)
    found["saved"] = meter.saved / 1e6
    return Timed({"seconds": once}, found)


@inverse.upheld_if
def _(paired: Paired) -> Truth:
    held = paired.ratio("seconds").at_most(0.6) & paired.mean("saved").at_most(0)
    for name in PROBLEMS:
        held = held & paired.difference(f"psnr_{name}").at_least(-0.5)
    return held


@trial(
    paper="2412.00100",
    claim="classifier",
    arms=("unguided", "flowchef", "full"),
    peers=("full",),
    measures={
        "recognised": Measure("", "higher", text="share that another classifier takes for the target class"),
        "pleased": Measure("", "higher", text="share that the classifier which led takes for it"),
        "fd": Measure(
            "", "lower", text="Fréchet distance of that other classifier's features to real images"
        ),
        "evaluations": Measure("", "lower", text="of the network, an image"),
    },
    minutes={"smoke": 0.5, "here": 5, "full": 30},
    needs=("diffusion",),
    fault="the cost is climbed and not descended",
    version=2,  # a reversed velocity, the fault before, still leads in the last steps, where sigma is small
)
def classifier(run: Run) -> dict[str, float]:
    """Images of an unconditional flow led to a class by a classifier, recognised by another classifier."""
    count = run.pick(smoke=16, here=64, full=512)
    steps = run.pick(smoke=4, here=25, full=STEPS)
    bed, guide, judge = load("flow", "s"), load("shapes", "s"), load("shapes", "xs")
    bed.model.to(run.device)
    guide.model.to(run.device)
    labels = torch.arange(count) % bed.null
    noise = torch.randn((count, *bed.shape), generator=run.generator("noise")).to(run.device)
    scale = SCALE.get(run.arm, {}).get("classifier", 0.0)
    meter, images = Meter(bed.model), []
    done = 0

    def tick(step: int, x: Tensor) -> None:
        nonlocal done
        done += 1
        run.progress(done, steps * -(-count // 32))

    for start, part in zip(noise.split(32), labels.split(32), strict=True):
        cost = classifier_cost(guide.model, part.to(run.device))
        lead = climbed(cost) if run.fault else cost
        images.append(steer(bed, run.arm, lead, scale, start, steps, meter=meter, on_step=tick))
    made = torch.cat(images)
    share, features = recognised(judge, made, labels)
    real = bed.data("test", n=count, seed=run.seed).images
    return {
        "recognised": share,
        "pleased": float((predict(guide.model, made)[0].argmax(1).cpu() == labels).double().mean()),
        "fd": frechet_distance(recognised(judge, real, labels)[1].numpy(), features.numpy()),
        "evaluations": meter.calls / -(-count // 32),
    }


@classifier.upheld_if
def _(paired: Paired) -> Truth:
    return paired.difference("recognised").above(0)


@inverse.pictured(
    "restored",
    "Six images with a box missing, at half the resolution, and blurred; a row each: the measurement, the "
    "gradient through the network, FlowChef, and the truth.",
)
def _() -> NDArray[np.uint8]:
    bed = load("flow", "s")
    truth = bed.data("test", n=6, seed=3).images
    noise = bed.noise(6, seed=3)
    rows = []
    for name, operator in PROBLEMS.items():
        y = measured(operator, truth, 3)
        seen = y.repeat_interleave(truth.shape[-1] // y.shape[-1], 2)
        rows.append(seen.repeat_interleave(truth.shape[-1] // y.shape[-1], 3))
        cost = inverse_cost(operator, y)
        rows += [steer(bed, arm, cost, SCALE[arm][name], noise, 25) for arm in ("full", "flowchef")]
        rows.append(truth)
    return grid(unit(torch.cat(rows)), 6, 2)
