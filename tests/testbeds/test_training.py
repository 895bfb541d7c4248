"""The training loop: Muon, the moving average, and the way back into a training that was interrupted."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from torch import nn

from sillok import testbeds
from sillok.testbeds import training
from sillok.testbeds.base import Recipe
from sillok.testbeds.training import Optimizers, Progress, at_step, optimise

MUON = Recipe(steps=12, batch=8, lr=0.02, optimizer="muon", ema=0.9)


class Net(nn.Module):
    """A convolution, a matrix, an embedding and an outer layer, so that every rule of the optimizers is met."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 8)
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.hidden = nn.Linear(8, 8)
        self.proj_out = nn.Linear(8, 3)

    def forward(self, images, index):
        x = self.conv(images).mean((2, 3)) + self.table(index)
        return self.proj_out(torch.tanh(self.hidden(x)))


def problem(seed=0):
    net = training.fresh(Net, seed)

    def loss_at(step):
        generator = at_step(3, step)
        images = torch.randn(8, 1, 6, 6, generator=generator)
        index = torch.randint(0, 5, (8,), generator=generator)
        target = torch.stack([images.mean((1, 2, 3)), index / 5, images.amax((1, 2, 3))], 1)
        return (net(images, index) - target).square().mean()

    return net, loss_at


def test_muon_takes_the_hidden_matrices_only():
    net, _ = problem()
    adamw, muon = Optimizers(net, MUON).parts
    names = {p.data_ptr(): name for name, p in net.named_parameters()}
    assert [names[p.data_ptr()] for p in muon.param_groups[0]["params"]] == ["conv.weight", "hidden.weight"]
    assert {names[p.data_ptr()] for group in adamw.param_groups for p in group["params"]} == {
        "table.weight", "conv.bias", "hidden.bias", "proj_out.weight", "proj_out.bias"
    }  # fmt: skip
    assert adamw.param_groups[1]["weight_decay"] == 0.0


def test_a_kernel_is_moved_as_muon_moves_its_matrix():
    net, loss_at = problem()
    matrix = nn.Parameter(net.conv.weight.detach().flatten(1).clone())
    alone = torch.optim.Muon([matrix], lr=0.02, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    optimizers = Optimizers(net, MUON)
    for step in range(3):
        net.zero_grad()
        loss_at(step).backward()
        matrix.grad = net.conv.weight.grad.flatten(1).clone()
        alone.step()
        optimizers.step(0.02)
        torch.testing.assert_close(net.conv.weight.detach().flatten(1), matrix.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_training_lowers_the_loss(optimizer):
    net, loss_at = problem()
    progress = Progress(steps=60)
    optimise(net, loss_at, dataclasses.replace(MUON, optimizer=optimizer), progress)
    assert progress.log[-1]["loss"] < 0.5 * progress.log[0]["loss"]


class Stop(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_an_interrupted_training_ends_as_it_would_have(tmp_path, monkeypatch, optimizer):
    monkeypatch.setattr(training, "KEEP_EVERY", -1.0)
    recipe = dataclasses.replace(MUON, optimizer=optimizer)
    net, loss_at = problem()
    whole = Progress(steps=12)
    expected = optimise(net, loss_at, recipe, whole)

    def broken(step):
        if step == 8:
            raise Stop
        return loss_at(step)

    net, loss_at = problem()
    path = tmp_path / "net.partial.safetensors"
    with pytest.raises(Stop):
        optimise(net, broken, recipe, Progress(steps=12, keep=path, identity="a"))
    assert path.exists()
    net, loss_at = problem(seed=1)  # other weights than those it had: all must come from the file
    seen, lines = [], []

    def watched(step):
        seen.append(step)
        return loss_at(step)

    again = Progress(steps=12, keep=path, identity="a", report=lines.append)
    found = optimise(net, watched, recipe, again)
    assert seen == list(range(6, 12))  # kept after a row of the log, each three steps
    assert lines[0] == "going on at step 6 of the training that was interrupted"
    assert {key: value.tolist() for key, value in found.items()} == {
        key: value.tolist() for key, value in expected.items()
    }
    assert [(row["step"], row["loss"]) for row in again.log] == [(r["step"], r["loss"]) for r in whole.log]


@pytest.mark.parametrize("kind", ["foreign", "damaged", "empty"])
def test_a_file_that_does_not_fit_starts_anew_and_says_so(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(training, "KEEP_EVERY", -1.0)
    path = tmp_path / "net.partial.safetensors"
    net, loss_at = problem()
    optimise(net, loss_at, MUON, Progress(steps=6, keep=path, identity="other"))
    if kind != "foreign":
        path.write_bytes(path.read_bytes()[:200] if kind == "damaged" else b"")
    lines = []
    net, loss_at = problem()
    progress = Progress(steps=6, keep=path, identity="mine", report=lines.append)
    optimise(net, loss_at, MUON, progress)
    words = "is of another training" if kind == "foreign" else "cannot be read"
    assert words in lines[0] and "starting anew" in lines[0]
    assert progress.log[-1]["step"] == 6


def test_train_goes_on_after_a_stop_and_cleans_up(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "KEEP_EVERY", -1.0)
    straight = testbeds.train("shapes", "xs", steps=8, samples=16, out=tmp_path / "a")

    def stop(line):
        if line.startswith("step 6/"):
            raise KeyboardInterrupt

    out = tmp_path / "b"
    with pytest.raises(KeyboardInterrupt):
        testbeds.train("shapes", "xs", steps=8, samples=16, out=out, report=stop)
    partial = out / "shapes-xs.partial.safetensors"
    with safe_open(partial, "pt") as file:
        assert json.loads(file.metadata()["facts"])["step"] == 4
    lines = []
    again = testbeds.train("shapes", "xs", steps=8, samples=16, out=out, report=lines.append)
    assert "going on at step 4" in lines[0]
    assert not partial.exists()
    assert [row["loss"] for row in again.log] == [row["loss"] for row in straight.log]
    assert (out / "shapes-xs.safetensors").read_bytes() == (tmp_path / "a/shapes-xs.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("shapes", "xs"),
        ("digits", "s"),
        ("clips", "s"),
        ("corpus", "xs"),
    ],
)
def test_a_retraining_begins_as_the_shipped_one_did(monkeypatch, name, size):
    # the first fifty steps by the shipped recipe, data and seed: their mean loss is in the shipped log
    monkeypatch.setattr(training.shutil, "which", lambda _: None)  # compiling takes longer than these steps
    bed = testbeds.load(name, size)

    def stop(line):
        raise Stop

    progress = Progress(report=stop)
    with pytest.raises(Stop):
        bed.fit(bed.build(0), progress, device="cpu", seed=0)
    assert progress.log[0]["step"] == bed.log[0]["step"] == 50
    assert progress.log[0]["loss"] == pytest.approx(bed.log[0]["loss"], rel=0.05)


def test_a_training_that_diverges_is_one_line():
    net, _ = problem()
    with pytest.raises(ValueError, match="diverged at step 1: its loss is not finite"):
        optimise(net, lambda step: net.conv.weight.sum() * float("nan"), MUON, Progress())


def test_unknown_optimizer():
    with pytest.raises(ValueError, match="optimizer must be adamw or muon; got 'sgd'"):
        Optimizers(Net(), dataclasses.replace(MUON, optimizer="sgd"))


def test_noise_of_a_step_depends_on_seed_and_step_alone():
    draw = {
        (seed, step): torch.randn(3, generator=at_step(seed, step)).tolist()
        for seed in (0, 1)
        for step in (0, 1)
    }
    assert len({tuple(values) for values in draw.values()}) == 4
    assert torch.randn(3, generator=at_step(1, 1)).tolist() == draw[1, 1]
