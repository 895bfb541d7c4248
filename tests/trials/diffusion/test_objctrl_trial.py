"""The trial of object control: tasks whose truth is rendered, arms that differ as they say, a rule that can fail."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from sillok.methods.cameras import plucker, project
from sillok.testbeds.camera import PIXELS, FlowCamera
from sillok.trials.diffusion import objctrl
from sillok.trials.diffusion.objctrl import Tasks, control, inputs_for, poses_for, scores, tasks_for
from sillok.verify import Paired, Run, Truth


@pytest.fixture(scope="module")
def tasks() -> Tasks:
    return tasks_for(8, 4)


def test_the_object_moves_in_view_and_nothing_else_does(tasks: Tasks) -> None:
    assert tasks.tracks.found.all()
    way = np.linalg.norm(tasks.tracks.xy[:, -1] - tasks.tracks.xy[:, 0], axis=-1)
    assert way.mean() > 3
    truth = scores(tasks.truth, tasks)
    assert truth["objmc"] == truth["size"] == 0
    assert truth["background"] < 0.01  # but for shadows
    assert truth["found"] == 1
    still = scores(tasks.first[:, None].expand_as(tasks.truth), tasks)
    assert still["objmc"] > 1.5
    assert still["background"] == 0
    gone = scores(torch.zeros_like(tasks.truth), tasks)
    assert gone["size"] == 1
    assert gone["found"] == 0


def test_poses_put_the_object_on_its_track_and_25d_knows_its_size(tasks: Tasks) -> None:
    wrong = {"25d": [], "2d": []}
    for i in range(8):
        for dimension, errors in wrong.items():
            poses = poses_for(tasks, i, dimension)
            track = tasks.tracks.xy[i] + 0.5
            column, row = track[0].astype(int)
            start = np.array([*(track[0] - tasks.intrinsics[i][:2, 2]) / tasks.intrinsics[i][0, 0], 1.0])
            start = start * tasks.ground[i][row, column]
            for pose, uv in zip(poses, track, strict=True):
                np.testing.assert_allclose(project(start, pose, tasks.intrinsics[i])[0], uv, atol=1e-6)
            grown = (start[2] / (start[2] + poses[-1, 2, 3])) ** 2
            area = tasks.tracks.area[i]
            errors.append(abs(np.log(grown * area[0] / area[-1])))
    assert np.mean(wrong["25d"]) < 0.6 * np.mean(wrong["2d"])
    flipped = poses_for(tasks, 0, "25d", fault=True)
    np.testing.assert_allclose(flipped[:, :3, 3], -poses_for(tasks, 0, "25d")[:, :3, 3])


def test_arms_are_what_they_are_called(tasks: Tasks) -> None:
    noise = torch.randn(8, 3, PIXELS, PIXELS, generator=torch.Generator().manual_seed(0))
    poses, K = poses_for(tasks, 1, "25d"), tasks.intrinsics[1]
    rays = plucker(poses, K, (PIXELS, PIXELS))
    rest = plucker(np.tile(np.eye(4), (8, 1, 1)), K, (PIXELS, PIXELS))
    told = {arm: inputs_for(tasks, 1, arm, "25d", noise) for arm in control.arms}
    assert torch.equal(told["everywhere"][0], rays)
    assert torch.equal(told["everywhere"][1], noise)
    assert torch.equal(told["layers"][1], noise)
    assert torch.equal(told["layers"][0], told["full"][0])
    assert not torch.equal(told["full"][1], noise)
    # inside the object the rays are its own, far from it they rest
    y, x = np.argwhere(tasks.mask[1]).mean(0).astype(int)
    torch.testing.assert_close(told["layers"][0][:, :, y, x], rays[:, :, y, x])
    corner = (0, 0) if tasks.around[1, 0, 0] else (0, PIXELS - 1)
    torch.testing.assert_close(told["layers"][0][:, :, *corner], rest[:, :, *corner])


def test_every_arm_runs_and_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = FlowCamera("s")
    model = bed.build(0)
    for parameter in model.parameters():  # fresh output layers would hide what the rays do
        if not parameter.any():
            torch.nn.init.constant_(parameter, 0.02)
    bed.use(model)
    monkeypatch.setattr(objctrl, "load", lambda name, size: bed)

    def once(arm: str, **options: Any) -> dict[str, float]:
        return dict(control.body(Run(arm=arm, seed=0, scale="smoke", **options)))

    found = {arm: once(arm) for arm in control.arms}
    assert all(set(one) == set(control.measures) for one in found.values())
    assert once("full") == found["full"]
    values = [one["background_25d"] for one in found.values()]
    assert len(set(values)) == 3
    assert once("full", fault=True) != found["full"]


BASE = {"objmc": 3.0, "background": 0.2, "size": 0.4}


def verdict(changes: dict[str, dict[str, float]]) -> Truth:
    rows: dict[str, dict[int, dict[str, float]]] = {}
    for arm in control.judged:
        values = {f"{name}_{d}": value for name, value in BASE.items() for d in objctrl.DIMENSIONS}
        rows[arm] = {seed: values | changes.get(arm, {}) for seed in range(5)}
    assert control.rule is not None
    return Truth.of(control.rule(Paired(control.judged, rows, "here")))


GOOD = {"full": {"objmc_25d": 1.5, "size_25d": 0.2}, "layers": {"objmc_25d": 2.0, "background_25d": 0.08}}


@pytest.mark.parametrize(
    ("arm", "change", "expected"),
    [
        ("full", {}, Truth.YES),
        ("full", {"objmc_25d": 2.5}, Truth.NO),  # worse than layers alone
        ("full", {"size_25d": 0.5}, Truth.NO),
        ("layers", {"background_25d": 0.12}, Truth.NO),
    ],
)
def test_the_rule(arm: str, change: dict[str, float], expected: Truth) -> None:
    assert verdict(GOOD | {arm: GOOD[arm] | change}) is expected


def test_the_baseline_itself_is_not_upheld() -> None:
    assert verdict({}) is Truth.NO


def test_tasks_are_the_same_for_every_arm_of_a_seed() -> None:
    first, again = tasks_for(2, 9), tasks_for(2, 9)
    for field in dataclasses.fields(Tasks):
        a, b = getattr(first, field.name), getattr(again, field.name)
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True)), field.name
