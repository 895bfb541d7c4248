"""DeMo: the transform, the exchange, and the limits in which it is a known optimizer."""

from __future__ import annotations

import demo_ranks
import numpy as np
import pytest
import scipy.fft
import torch

from sillok.methods.optim.demo import ChunkedDCT, DeMo, divisor, scatter_mean, topk_compress
from sillok.verify.processes import launch


def _parameter(shape: tuple[int, ...], seed: int) -> torch.nn.Parameter:
    p = torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
    p.grad = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 1000))
    return p


@pytest.mark.parametrize(
    ("size", "limit", "expected"), [(64, 64, 64), (96, 64, 48), (100, 64, 50), (67, 64, 1)]
)
def test_divisor(size: int, limit: int, expected: int) -> None:
    assert divisor(size, limit) == expected


def test_vector_agrees_with_scipy() -> None:
    x = torch.randn(96, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = ChunkedDCT(32).encode(x)
    theirs = scipy.fft.dct(x.numpy().reshape(3, 32), type=2, norm="ortho", axis=-1)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)


def test_matrix_agrees_with_scipy_block_by_block() -> None:
    x = torch.randn(32, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = ChunkedDCT(16).encode(x).numpy()
    blocks = x.numpy().reshape(2, 16, 3, 16).transpose(0, 2, 1, 3)
    theirs = scipy.fft.dctn(blocks, type=2, norm="ortho", axes=(-2, -1)).reshape(6, 256)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (64,), (96, 40), (67, 8), (6, 3, 4, 4)])
def test_decode_inverts_encode(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    transform = ChunkedDCT(16)
    spectrum = transform.encode(x)
    assert spectrum.numel() == x.numel()
    torch.testing.assert_close(transform.decode(spectrum, x.shape), x)
    assert spectrum.norm().item() == pytest.approx(x.norm().item(), rel=1e-5)


def test_topk_keeps_the_largest_magnitudes() -> None:
    index, value = topk_compress(torch.tensor([[1.0, -5.0, 2.0, 0.5], [0.0, 3.0, -4.0, 1.0]]), 2)
    assert [sorted(row) for row in index.tolist()] == [[1, 2], [1, 2]]
    assert [sorted(row) for row in value.tolist()] == [[-5.0, 2.0], [-4.0, 3.0]]


def test_mean_is_over_senders_and_not_over_the_world() -> None:
    indices = [torch.tensor([[0, 1]]), torch.tensor([[0, 2]]), torch.tensor([[3, 2]])]
    values = [torch.tensor([[2.0, 7.0]]), torch.tensor([[4.0, 1.0]]), torch.tensor([[-1.0, 2.0]])]
    mean = scatter_mean(indices, values, (1, 5))
    assert mean.tolist() == [[3.0, 7.0, 1.5, -1.0, 0.0]]


def test_sent_plus_residual_is_the_momentum() -> None:
    p = _parameter((32, 48), 0)
    optimizer = DeMo([p], lr=0.1, topk=5, chunk=16)
    grad = p.grad.clone()
    optimizer.step()
    before = optimizer.state[p]["momentum"].clone()
    full = before * 0.999 + 0.1 * grad
    with torch.no_grad():
        index, value = optimizer._compress(p, optimizer.param_groups[0])
    transform = ChunkedDCT(16)
    sent = transform.decode(torch.zeros(6, 256).scatter_(-1, index, value), p.shape)
    torch.testing.assert_close(sent + optimizer.state[p]["momentum"], full, atol=1e-6, rtol=0)


def test_everything_sent_is_sign_sgd_without_momentum() -> None:
    p, q = _parameter((32, 32), 0), _parameter((32, 32), 0)
    optimizer = DeMo([p], lr=0.01, topk=256, chunk=16)
    for step in range(3):
        p.grad = torch.randn(32, 32, generator=torch.Generator().manual_seed(step))
        optimizer.step()
        with torch.no_grad():
            q -= 0.01 * p.grad.sign()
        assert optimizer.state[p]["momentum"].abs().max() < 1e-6
        torch.testing.assert_close(p, q)


def test_first_step_by_hand() -> None:
    """One chunk of four, k = 1, against the algorithm written out with SciPy."""
    grad = np.array([1.0, 2.0, -1.0, 3.0])
    p = torch.nn.Parameter(torch.ones(4, dtype=torch.float64))
    p.grad = torch.tensor(grad)
    optimizer = DeMo([p], lr=0.5, topk=1, chunk=4, weight_decay=0.1)
    optimizer.step()
    spectrum = scipy.fft.dct(0.5 * grad, type=2, norm="ortho")
    kept = np.where(np.abs(spectrum) == np.abs(spectrum).max(), spectrum, 0)
    update = scipy.fft.idct(kept, type=2, norm="ortho")
    np.testing.assert_allclose(p.detach().numpy(), 1 - 0.5 * 0.1 - 0.5 * np.sign(update), atol=1e-12)
    np.testing.assert_allclose(optimizer.state[p]["momentum"].numpy(), 0.5 * grad - update, atol=1e-12)


def test_without_sign_the_update_is_what_was_sent() -> None:
    p = _parameter((16,), 0)
    start, grad = p.detach().clone(), p.grad.clone()
    DeMo([p], lr=0.1, topk=16, chunk=16, sign=False).step()
    torch.testing.assert_close(p.detach(), start - 0.1 * grad)


def test_without_error_feedback_the_momentum_keeps_what_was_sent() -> None:
    p = _parameter((16,), 0)
    optimizer = DeMo([p], lr=0.1, topk=4, chunk=16, error_feedback=False)
    optimizer.step()
    torch.testing.assert_close(optimizer.state[p]["momentum"], 0.1 * p.grad)


def test_state_survives_saving() -> None:
    def run(steps: int, optimizer: DeMo, p: torch.nn.Parameter, first: int = 0) -> None:
        for step in range(first, first + steps):
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(step))
            optimizer.step()

    whole = _parameter((32, 16), 0)
    run(6, DeMo([whole], topk=3, chunk=16), whole)
    part = _parameter((32, 16), 0)
    first = DeMo([part], topk=3, chunk=16)
    run(3, first, part)
    second = DeMo([part], topk=3, chunk=16)
    second.load_state_dict(first.state_dict())
    run(3, second, part, first=3)
    assert torch.equal(whole, part)


def test_low_precision_parameters_keep_a_float32_momentum() -> None:
    p = torch.nn.Parameter(torch.ones(16, dtype=torch.bfloat16))
    p.grad = torch.ones(16, dtype=torch.bfloat16)
    optimizer = DeMo([p], lr=0.25, topk=2, chunk=16)
    optimizer.step()
    assert optimizer.state[p]["momentum"].dtype == torch.float32
    assert p.dtype == torch.bfloat16
    assert p[0] == 0.75


def test_bytes_are_twelve_a_coefficient() -> None:
    p = _parameter((64, 128), 0)
    optimizer = DeMo([p], topk=8, chunk=64)
    optimizer.step()
    assert optimizer.bytes_sent == 2 * 8 * 12
    assert p.numel() * 2 / optimizer.bytes_sent == pytest.approx(8192 / (12 * 8))


def test_closure_and_schedule() -> None:
    p = torch.nn.Parameter(torch.full((8,), 2.0))
    optimizer = DeMo([p], lr=0.1, topk=8, chunk=8)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)

    def closure() -> float:
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 32.0
    schedule.step()
    optimizer.step(closure)
    torch.testing.assert_close(p.detach(), torch.full((8,), 2.0 - 0.1 - 0.05))


@pytest.mark.parametrize(
    "bad",
    [
        {"lr": -1.0},
        {"momentum": 1.0},
        {"topk": 0},
        {"chunk": 0},
        {"weight_decay": -0.1},
        {"index_dtype": torch.float32},
        {"index_dtype": torch.int16, "chunk": 256},
    ],
)
def test_bad_arguments(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(reversed(list(bad)))) if "chunk" not in bad else "chunk"):
        DeMo([torch.nn.Parameter(torch.zeros(4))], **bad)


@pytest.fixture(scope="module")
def two_ranks() -> list[dict[str, object]]:
    return launch(demo_ranks.train, 2, 20, 4, seconds=120)


def test_ranks_stay_equal_to_the_bit_and_keep_momenta_of_their_own(two_ranks: list[dict]) -> None:
    first, second = two_ranks
    for a, b in zip(first["weights"], second["weights"], strict=True):
        assert a.tobytes() == b.tobytes()
    assert not np.allclose(first["momentum"][0], second["momentum"][0])


def test_two_ranks_equal_the_algorithm_in_one_process(two_ranks: list[dict]) -> None:
    """The exchange over gloo gives what two simulated senders give."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Tanh(), torch.nn.Linear(64, 8))
    data = [torch.Generator().manual_seed(100 + rank) for rank in range(2)]
    senders = [DeMo(model.parameters(), lr=1e-2, topk=4, chunk=16) for _ in range(2)]
    for _ in range(20):
        sent = []
        for rank, optimizer in enumerate(senders):
            x = torch.randn(16, 32, generator=data[rank])
            optimizer.zero_grad()
            (model(x) - x[:, :8]).square().mean().backward()
            with torch.no_grad():
                sent.append([optimizer._compress(p, optimizer.param_groups[0]) for p in model.parameters()])
        with torch.no_grad():
            for p, a, b in zip(model.parameters(), *sent, strict=True):
                senders[0]._apply(p, senders[0].param_groups[0], [a, b])
    for ours, theirs in zip(model.parameters(), two_ranks[0]["weights"], strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-6)


def test_bytes_on_the_wire_are_what_is_counted(two_ranks: list[dict]) -> None:
    first = two_ranks[0]
    assert first["received"] == first["sent"]
    payload = 2 * 20 * first["sent"]
    assert payload <= first["wire"]
    if first["private"]:  # nobody else was on that wire: all but headers is payload
        assert first["wire"] < 1.6 * payload + 60_000


def test_a_rank_without_a_gradient_stays_in_step() -> None:
    (a0, b0), (a1, b1) = launch(demo_ranks.uneven, 2, seconds=60)
    assert a0.tobytes() == a1.tobytes()
    assert b0.tobytes() == b1.tobytes()
    assert np.abs(b0).max() > 0


def test_a_rank_that_raises_ends_the_launch() -> None:
    with pytest.raises(RuntimeError, match="rank one has enough|rank 0"):
        launch(demo_ranks.fail, 2, seconds=30)
