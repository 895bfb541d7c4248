"""StyleCodes: what is left of a style in 20 characters, on shapes in styles that were never trained on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers.guiders import ClassifierFreeGuidance
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sillok.methods.diffusion.stylecodes import StyleEncoder, clipped_share, quantize
from sillok.methods.diffusion.stylecontrol import StyleControl
from sillok.testbeds import load, shapes
from sillok.testbeds.pictures import grid, unit
from sillok.testbeds.scores import Classifier, predict
from sillok.testbeds.shapes.scenes import FULL_TURN, sample_scenes
from sillok.trials.diffusion.loop import denoise
from sillok.trials.diffusion.styles import Probe, draw_styles, paint
from sillok.verify import Measure, Paired, Run, Truth, trial

PATCH = 4
TRAINED, HELD = 64, 16  # styles; chance of retrieval is 1 in 16
GUIDANCE, SCALE = 4.0, 0.9  # where the testbed follows captions best; the paper's control scale
BITS = (6, 4, 3, 2)
# The control's rate, and the encoder's over it: at the same rate the encoder forgets its images at first.
RATE, ENCODER = 1e-3, 0.1
# Where the encoder begins: patches of this deviation, and layers wider than PyTorch's, so that a code changes the map
# by as much as the middle block's own features vary. From PyTorch's, 500 steps did not teach the control to read it.
# Chosen among a dozen by the loss and the distances on one draw of styles, of another seed than the trial's.
SEEN, SPOKEN, MAPPED = 1.5, 2.0, 8.0


def patches(images: Tensor) -> Tensor:
    """(N, 64, 48): the pixels of squares."""
    return F.unfold(images, PATCH, stride=PATCH).transpose(1, 2)


class Pairs:
    """Two images of a style at a time, which share the style and nothing else."""

    def __init__(self, seed: int, pixels: int, turn: float) -> None:
        self.seed, self.pixels, self.turn = seed, pixels, turn
        both = draw_styles(TRAINED + HELD, seed)
        everything = vars(both)
        self.trained = type(both)(**{k: v[:TRAINED] for k, v in everything.items()})
        self.held = type(both)(**{k: v[TRAINED:] for k, v in everything.items()})

    def images(
        self, styles: Any, index: NDArray[np.int64], seed: int, split: str = "train"
    ) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in the styles (N,), and their classes."""
        scenes = sample_scenes(len(index), seed, split=split, turn=self.turn)
        return paint(scenes, styles, index, self.pixels, seed), torch.from_numpy(scenes.label)

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Targets, their classes, and references of the same styles."""
        seed = (self.seed % 2**31) * 1_000_003 + 2 * step
        index = np.random.default_rng([self.seed, step]).integers(0, TRAINED, size)
        target, labels = self.images(self.trained, index, seed)
        return target, labels, self.images(self.trained, index, seed + 1)[0]


class Styler(NamedTuple):
    """A base, and what makes it follow a style; mean and deviation (48,) are those of trained styles' patches."""

    bed: Any
    unet: Any
    encoder: StyleEncoder
    control: StyleControl
    mean: Tensor
    deviation: Tensor

    def latent(self, images: Tensor) -> Tensor:
        """Latents (N, 20) of images (N, 3, H, W), from standardised patches.

        The encoder's first layer is the patch encoder, and is trained with the rest.
        """
        return self.encoder.encode((patches(images) - self.mean) / self.deviation * SEEN)

    @torch.no_grad()
    def draw(
        self, labels: Tensor, noise: Tensor, steps: int, latent: Tensor | None, unet: Any = None
    ) -> Tensor:
        """Images (N, 3, H, W) of the classes from noise, in the styles of latents (N, 20), or in none."""
        unet = self.unet if unet is None else unet
        given, none = self.bed.condition(labels), self.bed.unconditional(len(labels))
        made: dict[tuple[int, int], Tensor] = {}

        def style(height: int, width: int) -> Tensor:
            if (height, width) not in made:
                made[height, width] = self.encoder.decode(latent, height, width)
            return made[height, width]

        def network(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
            x = x.contiguous(memory_format=torch.channels_last)
            if latent is None:
                found: Tensor = unet(x, t, text).sample
            else:
                found = self.control(unet, style, x, t, text, scale=SCALE).sample
            return found

        return denoise(
            network,
            self.bed.scheduler(),
            ClassifierFreeGuidance(guidance_scale=GUIDANCE),
            noise,
            {"text": (self.bed.encode(given), self.bed.encode(none))},
            steps,
        )


def new_styler(bed: Any, pairs: Pairs, seed: int) -> Styler:
    """Encoder and control as they are before training."""
    unet = copy.deepcopy(bed.model).to(memory_format=torch.channels_last)  # faster on a processor
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        control = StyleControl.from_unet(unet)
        encoder = StyleEncoder(
            input_dim=3 * PATCH**2,
            d_model=64,
            feedforward=128,
            out_channels=control.map_channels,
            dropout=0.0,
        )
    with torch.no_grad():
        encoder.latent_to_d_model.weight *= SPOKEN
        for part in encoder.output_proj.parameters():
            part *= MAPPED
    seen = patches(pairs.batch(20_000_000, 256)[2]).flatten(0, 1)
    control = control.to(memory_format=torch.channels_last)
    return Styler(bed, unet, encoder, control, seen.mean(0), seen.std(0))


def velocity_loss(
    bed: Any, scheduler: Any, images: Tensor, generator: Any, network: Callable[..., Tensor]
) -> Tensor:
    """Squared error of the predicted noise at random times, weighted as the testbed's own training is."""
    times = torch.randint(0, len(scheduler.alphas_cumprod), (len(images),), generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    error = (network(scheduler.add_noise(images, noise, times), times) - noise).square().mean((1, 2, 3))
    return (error / scheduler.alphas_cumprod[times]).mean()


def train(styler: Styler, pairs: Pairs, steps: int, size: int, on_step: Callable[[int, float], None]) -> None:
    """Encoder and control learn to draw a target in the style of a reference; the base stays as it is.

    Half of the references go through a 6-bit code with a straight-through gradient, half as they are, so that
    both ways are trained alike.
    """
    bed, scheduler = styler.bed, styler.bed.scheduler()
    generator = torch.Generator().manual_seed(pairs.seed)
    slow, fast = list(styler.encoder.parameters()), list(styler.control.parameters())
    groups = [{"params": slow, "lr": ENCODER * RATE}, {"params": fast, "lr": RATE}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    warm, last = max(1, steps // 20), max(1, steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1, (s + 1) / warm) * (0.5 + 0.5 * math.cos(math.pi * s / last))
    )
    styler.encoder.train()
    for step in range(steps):
        target, labels, reference = pairs.batch(step, size)
        condition = bed.condition(labels)
        dropped = torch.rand(size, generator=generator) < bed.recipe.label_dropout
        condition = torch.where(dropped[:, None], bed.unconditional(size), condition)
        with torch.no_grad():
            states = bed.encode(condition)
        latent = styler.latent(reference)
        coded = (torch.arange(size) % 2 == 0)[:, None]
        latent = torch.where(coded, quantize(latent), latent)

        def network(x: Tensor, t: Tensor, latent: Tensor = latent, states: Tensor = states) -> Tensor:
            decode = lambda h, w: styler.encoder.decode(latent, h, w)  # noqa: E731
            x = x.contiguous(memory_format=torch.channels_last)
            found: Tensor = styler.control(styler.unet, decode, x, t, states, scale=SCALE).sample
            return found

        loss = velocity_loss(bed, scheduler, target, generator, network)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*slow, *fast], 1.0)
        optimizer.step()
        schedule.step()
        on_step(step, float(loss.detach()))
    styler.encoder.eval()


def second_base(styler: Styler, pairs: Pairs, steps: int, size: int) -> Any:
    """The base fine-tuned on plain shapes at all angles, which neither it nor the control has seen."""
    bed, scheduler = styler.bed, styler.bed.scheduler()
    unet = copy.deepcopy(styler.unet).requires_grad_(True)
    optimizer = torch.optim.AdamW(unet.parameters(), 1e-4, weight_decay=0.0)
    generator = torch.Generator().manual_seed(pairs.seed + 1)
    for step in range(steps):
        scenes = sample_scenes(size, pairs.seed % 2**31 + step, turn=FULL_TURN)
        data = shapes.tensors(scenes, pairs.pixels)
        with torch.no_grad():
            states = bed.encode(bed.condition(data.labels))
        loss = velocity_loss(
            bed, scheduler, data.images, generator, lambda x, t, s=states: unet(x, t, s).sample
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return unet.requires_grad_(False)


def judge(pairs: Pairs, steps: int) -> Classifier:
    """The testbed's classifier, taught that grounds and outlines say nothing of a class, on trained styles."""
    model: Classifier = copy.deepcopy(load("shapes", "s").model).requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for step in range(steps):
        images, labels, _ = pairs.batch(10_000_000 + step, 64)
        loss = F.cross_entropy(model(images)[0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


NAMES = ("continuous", *(f"{bits}bit" for bits in BITS), "other", "tuned")
MEASURES = {
    **{
        f"distance_{n}": Measure("", "lower", text="to the style asked for, in units of its spread")
        for n in NAMES
    },
    **{
        f"retrieval_{n}": Measure("", "higher", text="share of images nearest to their style of 16")
        for n in NAMES
    },
    **{
        f"accuracy_{n}": Measure("", "higher", text="share of images taken for their caption's class")
        for n in NAMES
    },
    "distance_real": Measure("", "lower", text="of real images in the styles"),
    "accuracy_real": Measure("", "higher", text="of real images in the styles"),
    "clipped": Measure("", text="share of the latents' numbers beyond [-1, 1]"),
    "loss": Measure("", "lower", text="mean of the last tenth of the training"),
}


@trial(
    paper="2411.12811",
    claim="bits",
    arms=("base", "stylecodes"),
    measures=MEASURES,
    seeds=3,
    minutes={"smoke": 0.5, "here": 10, "full": 60},
    needs=("diffusion",),
    fault="every image is drawn with the code of another style",
    version=2,  # as it began before, the adapter had not learned to read codes after 500 steps
    memory_gb=6,
)
def bits(run: Run) -> dict[str, float]:
    """Style and caption of images drawn from codes of 6, 4, 3 and 2 bits a number, on a frozen base."""
    steps = run.pick(smoke=2, here=600, full=6000)
    each = run.pick(smoke=1, here=3, full=16)
    draws = run.pick(smoke=2, here=15, full=50)
    bed = load("ddpm-captions", "s")
    pairs = Pairs(run.subseed("styles"), bed.pixels, bed.turn)
    truth = np.repeat(np.arange(HELD), each)
    index = torch.from_numpy(truth)
    centres = np.repeat(np.arange(HELD), run.pick(smoke=4, here=64))
    known = pairs.images(pairs.held, centres, run.subseed("probe") % 2**31, "val")[0]
    probe = Probe(known.unflatten(0, (HELD, -1)))
    reference, labels = pairs.images(pairs.held, truth, run.subseed("reference") % 2**31, "test")
    classes = labels.roll(1)  # what is drawn is not what the reference shows
    noise = torch.randn(reference.shape, generator=run.generator("noise"))
    model = judge(pairs, run.pick(smoke=1, here=120))
    real, shown = pairs.images(pairs.held, truth, run.subseed("real") % 2**31, "test")
    found = {
        "distance_real": probe.distance(real, index),
        "accuracy_real": float((predict(model, real)[0].argmax(1) == shown).double().mean()),
    }

    def score(name: str, images: Tensor) -> None:
        found[f"distance_{name}"] = probe.distance(images, index)
        found[f"retrieval_{name}"] = probe.retrieval(images, index)
        right = predict(model, images.clamp(-1, 1))[0].argmax(1) == classes
        found[f"accuracy_{name}"] = float(right.double().mean())

    styler = new_styler(bed, pairs, run.subseed("weights") % 2**31)
    if run.arm == "base":
        images = styler.draw(classes, noise, draws, None)
        for name in NAMES:
            score(name, images)
        return found
    losses: list[float] = []

    def tick(step: int, loss: float) -> None:
        losses.append(loss)
        run.progress(step, 1.4 * steps)

    train(styler, pairs, steps, run.pick(smoke=4, here=16, full=64), tick)
    with torch.no_grad():
        latent = styler.latent(reference.roll(each, 0) if run.fault else reference)
    found["clipped"] = clipped_share(latent)
    found["loss"] = float(np.mean(losses[-max(1, steps // 10) :]))
    run.curve(
        "loss",
        range(0, steps, max(1, steps // 100)),
        losses[:: max(1, steps // 100)],
        x_label="step",
        y_label="loss",
    )
    score("continuous", styler.draw(classes, noise, draws, latent))
    for count in BITS:
        score(f"{count}bit", styler.draw(classes, noise, draws, quantize(latent, bits=count)))
    score("other", styler.draw(classes, noise, draws, quantize(latent).roll(each, 0)))
    tuned = second_base(styler, pairs, run.pick(smoke=1, here=60), 16)
    score("tuned", styler.draw(classes, noise, draws, quantize(latent), tuned))
    return found


@bits.upheld_if
def _(paired: Paired) -> Truth:
    def of(metric: str, arm: str = "stylecodes") -> NDArray[np.float64]:
        return paired.values(metric, arm)

    gain = of("distance_continuous", "base") - of("distance_continuous")
    loss = of("distance_6bit") - of("distance_continuous")
    return (
        paired.over_seeds(gain, "style distance that the continuous vector gains").above(0.0)
        & paired.over_seeds(loss - 0.05 * gain, "what 6 bits lose of it, less a twentieth").at_most(0.0)
        & paired.mean("retrieval_6bit").at_least(3 / HELD)
        & paired.difference("accuracy_6bit").at_least(-0.05)
        & paired.over_seeds(
            of("retrieval_tuned") - 0.7 * of("retrieval_6bit"), "retrieval, second base - 0.7 x first"
        ).at_least(0.0)
    )


@bits.pictured(
    "styles",
    "References in four styles never trained on, one a row, and what a briefly trained adapter draws from their "
    "6-bit codes. The captions name other shapes than the references show.",
)
def _drawn() -> NDArray[np.uint8]:
    bed = load("ddpm-captions", "s")
    pairs = Pairs(7, bed.pixels, bed.turn)
    styler = new_styler(bed, pairs, 7)
    train(styler, pairs, 100, 8, lambda step, loss: None)
    truth = np.repeat(np.arange(4), 3)
    reference, labels = pairs.images(pairs.held, truth, 7, "test")
    with torch.no_grad():
        latent = quantize(styler.latent(reference))
    drawn = styler.draw(labels.roll(1), bed.noise(len(truth), 7), 10, latent)
    rows = [part for k in range(4) for part in (reference[3 * k : 3 * k + 1], drawn[3 * k : 3 * k + 3])]
    return grid(unit(torch.cat(rows)), 4, 3)
