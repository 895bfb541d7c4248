"""Attention motion flow, its loss, spatial marginal means and motion fidelity, against what they must give."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sillok.methods.diffusion.motion import amf_loss, attention_motion_flow, motion_fidelity, smm_loss

GRID = {"frames": 3, "height": 4, "width": 5}
PATCHES = 20


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def brute(q: torch.Tensor, k: torch.Tensor, text: int, temperature: float, hard: bool) -> torch.Tensor:
    """A double loop over frames and a loop over patches, head by head, in plain Python."""
    heads, _, width = q.shape
    out = torch.zeros(9, PATCHES, 2, dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            for a in range(PATCHES):
                logits = torch.zeros(PATCHES, dtype=torch.float64)
                for b in range(PATCHES):
                    dots = [
                        float(q[h, text + i * PATCHES + a] @ k[h, text + j * PATCHES + b])
                        for h in range(heads)
                    ]
                    logits[b] = sum(dots) / heads / math.sqrt(width)
                weights = (temperature * logits).softmax(0)
                if hard:
                    weights = torch.eye(PATCHES, dtype=torch.float64)[int(logits.argmax())]
                dx = sum(float(weights[b]) * (b % 5 - a % 5) for b in range(PATCHES))
                dy = sum(float(weights[b]) * (b // 5 - a // 5) for b in range(PATCHES))
                out[i * 3 + j, a] = torch.tensor([dx, dy], dtype=torch.float64)
    return out


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(("text", "temperature"), [(0, 2.0), (4, 0.7)])
def test_it_equals_a_double_loop_over_frames(hard: bool, text: int, temperature: float) -> None:
    q, k = rand(2, text + 60, 6), rand(2, text + 60, 6, seed=1)
    found = attention_motion_flow(q, k, **GRID, temperature=temperature, hard=hard, text_tokens=text)
    torch.testing.assert_close(found, brute(q, k, text, temperature, hard), atol=1e-9, rtol=1e-9)
    both = attention_motion_flow(
        torch.stack([k, q]), torch.stack([q, k]), **GRID, temperature=temperature, hard=hard, text_tokens=text
    )
    torch.testing.assert_close(both[1], found, atol=1e-12, rtol=0)


def tokens(shift: tuple[int, int] = (0, 0), sharpness: float = 30.0) -> torch.Tensor:
    """(1, 60, 20) features by which every patch knows itself, moved by ``shift`` (x, y) from frame to frame."""
    own = torch.eye(PATCHES, dtype=torch.float64).reshape(4, 5, PATCHES)
    frames = [own.roll((f * shift[1], f * shift[0]), (0, 1)).reshape(PATCHES, PATCHES) for f in range(3)]
    return sharpness * torch.stack(frames).reshape(1, 60, PATCHES)


@pytest.mark.parametrize("hard", [False, True])
def test_identity_attention_is_no_motion(hard: bool) -> None:
    x = tokens()
    found = attention_motion_flow(x, x, **GRID, hard=hard)
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-9, rtol=0)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("shift", [(1, 0), (0, 1)])
def test_a_shift_of_one_patch_is_found_away_from_the_border(hard: bool, shift: tuple[int, int]) -> None:
    x = tokens(shift)
    found = attention_motion_flow(x, x, **GRID, hard=hard).reshape(3, 3, 4, 5, 2)
    one = torch.tensor(shift, dtype=torch.float64)
    inside = (slice(0, 2), slice(0, 3))  # what leaves at one side comes back at the other
    for i, j in ((0, 1), (1, 2), (0, 2), (2, 1)):
        part = found[i, j][(slice(2, 4), slice(2, 5)) if j < i else inside]
        torch.testing.assert_close(part, (j - i) * one.expand_as(part), atol=1e-9, rtol=0)


def test_low_temperature_collapses_to_the_middle_of_the_frame() -> None:
    x = tokens((1, 0), sharpness=1.0)
    found = attention_motion_flow(x, x, **GRID, temperature=1e-9)
    assert float(found[1, 0, 0]) == pytest.approx(2.0, abs=1e-6)  # the column of patch 0 is 0, the mean is 2
    assert float(found[1, 19, 1]) == pytest.approx(1.5 - 3, abs=1e-6)


def test_half_precision_is_computed_in_single() -> None:
    x = tokens(sharpness=100.0).half()
    found = attention_motion_flow(100 * x, x, **GRID)  # the logits are beyond what half precision holds
    assert found.dtype == torch.float32
    assert found.isfinite().all()


def test_the_loss_counts_what_moves_in_the_reference_alone() -> None:
    reference = torch.zeros(2, 9, PATCHES, 2)
    reference[0, 1, 3] = torch.tensor([1.0, 0.0])
    reference[0, 5, 7] = torch.tensor([0.0, -2.0])
    generated = torch.full_like(reference, 3.0).requires_grad_()
    found = amf_loss(reference, generated)
    # (2^2 + 3^2 + 3^2 + 5^2) over four numbers; the second reference stands still
    torch.testing.assert_close(found, torch.tensor([47 / 4, 0.0]))
    torch.testing.assert_close(
        amf_loss(reference, generated, threshold=False), (generated - reference).square().mean((1, 2, 3))
    )
    found.sum().backward()
    assert generated.grad is not None
    touched = generated.grad.abs().sum(-1).nonzero().tolist()
    assert touched == [[0, 1, 3], [0, 5, 7]]


def test_descending_on_the_loss_moves_attention() -> None:
    x = tokens((1, 0), sharpness=4.0)
    reference = attention_motion_flow(tokens((1, 0)), tokens((1, 0)), **GRID, hard=True)
    variable = (tokens(sharpness=4.0) + 0.1 * rand(1, 60, PATCHES)).requires_grad_()
    optimiser = torch.optim.Adam([variable], lr=0.1)
    losses = []
    for _ in range(60):
        loss = amf_loss(reference, attention_motion_flow(variable, variable, **GRID))
        (variable.grad,) = torch.autograd.grad(loss, variable)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    assert float(amf_loss(reference, attention_motion_flow(x, x, **GRID))) < losses[0]


def test_smm_uses_each_videos_own_anchor() -> None:
    base = rand(2, 4, 6)
    torch.testing.assert_close(smm_loss(base, base), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)
    # a video whose features all lie elsewhere changes as the reference does: with its own anchor nothing is lost
    moved = 2 * base + 5
    torch.testing.assert_close(smm_loss(base, moved), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(smm_loss(base, -base), torch.full((2,), 2.0, dtype=torch.float64))
    a, b, total = base[0], rand(4, 6, seed=1), 0.0
    for anchor in range(4):
        for channel in range(6):
            first, second = a[:, channel] - a[anchor, channel], b[:, channel] - b[anchor, channel]
            total += float(first @ second / (first.norm() * second.norm()))
    assert float(smm_loss(a, b)) == pytest.approx(1 - total / 24, abs=1e-9)


def test_fidelity_of_moving_tracks_with_themselves_is_one() -> None:
    tracks = np.cumsum(np.random.default_rng(0).standard_normal((7, 9, 2)), 1)
    assert motion_fidelity(tracks, tracks) == pytest.approx(1)
    assert motion_fidelity(3 * tracks + 5, torch.from_numpy(tracks)) == pytest.approx(1)
    line = np.stack([np.arange(5.0), np.zeros(5)], -1)[None]
    assert motion_fidelity(line, -line) == pytest.approx(-1)
    assert motion_fidelity(line, line[..., ::-1]) == pytest.approx(0)


def test_fidelity_looks_both_ways_and_knows_still_points() -> None:
    line = np.stack([np.arange(5.0), np.zeros(5)], -1)
    down, still = line[:, ::-1], np.zeros((5, 2))
    # each of the two finds its like from the one side: 1; from the other side `down` finds 0
    assert motion_fidelity([line], [line, down]) == pytest.approx((1 + 0.5) / 2)
    assert motion_fidelity([still], [still]) == 1
    assert motion_fidelity([still], [line]) == 0
    tracks = np.stack([line, down])
    assert motion_fidelity(tracks, tracks, released=True) == pytest.approx(0)  # the identity taken away
    assert motion_fidelity(tracks, tracks[::-1], released=True) == pytest.approx(1)
    assert math.isnan(motion_fidelity([still], [line], released=True))


def test_bad_input_is_named() -> None:
    x = rand(2, 60, 4)
    with pytest.raises(ValueError, match="3 text tokens and 3 x 4 x 5 image tokens; got 60 tokens"):
        attention_motion_flow(x, x, **GRID, text_tokens=3)
    with pytest.raises(ValueError, match="must have one shape"):
        attention_motion_flow(x, x[:, 1:], **GRID)
    with pytest.raises(ValueError, match="temperature must be positive; got 0"):
        attention_motion_flow(x, x, **GRID, temperature=0)
    with pytest.raises(ValueError, match="reference and generated"):
        amf_loss(torch.zeros(9, 20, 2), torch.zeros(9, 19, 2))
    with pytest.raises(ValueError, match="F >= 2"):
        smm_loss(torch.zeros(1, 3), torch.zeros(1, 3))
    good = np.zeros((1, 4, 2))
    with pytest.raises(ValueError, match=r"tracks_a must have shape \(N, T, 2\)"):
        motion_fidelity(good[0], good)
    with pytest.raises(ValueError, match="as many times; got 4 and 3"):
        motion_fidelity(good, good[:, 1:])
    with pytest.raises(ValueError, match="tracks_b must be finite; it has 8"):
        motion_fidelity(good, good * np.nan)
    with pytest.raises(ValueError, match="as many tracks; got 1 and 2"):
        motion_fidelity(good, np.concatenate([good, good]), released=True)
