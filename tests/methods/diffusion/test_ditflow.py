"""Motion transfer in real CogVideoX pipelines of random weights, rotary as the 5B and additive as the 2B."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import CogVideoXPipeline, CogVideoXTransformer3DModel, FlowMatchEulerDiscreteScheduler
from tiny_cogvideox import LENGTH, save_tiny_cogvideox

from sillok.methods.diffusion.ditflow import MotionGuide, MotionTransfer
from sillok.methods.diffusion.motion import amf_loss, attention_motion_flow

COMMON: dict[str, Any] = {
    "num_inference_steps": 2,
    "guidance_scale": 3.0,
    "output_type": "pt",
    "max_sequence_length": LENGTH,
}


@pytest.fixture(scope="module", params=["rotary", "additive"])
def pipe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = save_tiny_cogvideox(
        tmp_path_factory.mktemp("cogvideox") / request.param, rotary=request.param == "rotary"
    )
    loaded = CogVideoXPipeline.from_pretrained(folder)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def video() -> torch.Tensor:
    """(9, 3, 64, 64) a bright square that moves to the right."""
    frames = torch.full((9, 3, 64, 64), 0.2)
    for t in range(9):
        frames[t, :, 20:36, 4 * t : 4 * t + 16] = 0.9
    return frames


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_without_updates_and_injection_it_is_the_plain_pipeline(pipe: Any, video: torch.Tensor) -> None:
    idle = MotionTransfer(pipe, block=1, inner_steps=0, guided_steps=2, inject_blocks=())
    motion = idle.extract(video)
    plain = pipe("a boat", num_frames=9, height=64, width=64, generator=seeded(), **COMMON).frames
    assert torch.equal(idle("a boat", motion, generator=seeded(), **COMMON).frames, plain)
    latents = torch.randn(motion.latents.shape, generator=seeded())
    given = pipe("a boat", num_frames=9, latents=latents, generator=seeded(), **COMMON).frames
    assert torch.equal(idle("a boat", motion, latents=latents, generator=seeded(), **COMMON).frames, given)


def test_two_steps_in_the_pipeline_lower_the_loss_and_leave_nothing(pipe: Any, video: torch.Tensor) -> None:
    before = {name: value.clone() for name, value in pipe.transformer.state_dict().items()}
    transfer = MotionTransfer(pipe, block=1, lr=(0.05, 0.02), inner_steps=4, guided_steps=2)
    motion = transfer.extract(video)
    assert motion.flow.shape == (1, 9, 16, 2)
    assert motion.means.shape == (1, 3, 32)
    out = transfer("a boat", motion, generator=seeded(), **COMMON).frames
    plain = pipe("a boat", num_frames=9, height=64, width=64, generator=seeded(), **COMMON).frames
    assert out.shape == plain.shape == (1, 9, 3, 64, 64)
    assert out.isfinite().all()
    assert not torch.allclose(out, plain)
    assert [len(step) for step in transfer.guide.losses] == [4, 4]
    assert all(step[-1] < step[0] for step in transfer.guide.losses)
    assert all(torch.equal(value, before[name]) for name, value in pipe.transformer.state_dict().items())
    assert all(parameter.grad is None for parameter in pipe.transformer.parameters())
    again = pipe("a boat", num_frames=9, height=64, width=64, generator=seeded(), **COMMON).frames
    assert torch.equal(again, plain)
    assert transfer.embeddings() == {}


def test_an_embedding_is_kept_and_set_again_without_optimisation(pipe: Any, video: torch.Tensor) -> None:
    options = {"block": 1, "lr": (0.05, 0.02), "inner_steps": 3, "guided_steps": 2, "optimise": "embedding"}
    transfer = MotionTransfer(pipe, **options)
    motion = transfer.extract(video)
    out = transfer("a boat", motion, generator=seeded(), **COMMON).frames
    assert all(step[-1] < step[0] for step in transfer.guide.losses)
    kept = transfer.embeddings()
    assert list(kept) == [float(t) for t in pipe.scheduler.timesteps]
    first, second = kept.values()
    rotary = pipe.transformer.config.use_rotary_positional_embeddings
    assert first.shape == ((1, 2, 2, 48, 16) if rotary else (1, 48, 32))
    # the second step goes on where the first ended
    assert float((second - first).abs().max()) < 1.01 * 3 * 0.02
    other = MotionTransfer(pipe, **options)
    same = other("a boat", motion, embeddings=kept, generator=seeded(), **COMMON).frames
    torch.testing.assert_close(same, out, atol=1e-5, rtol=1e-4)
    assert other.guide.losses == []
    assert not torch.allclose(
        other("a dog", motion, embeddings=kept, generator=seeded(), **COMMON).frames, out
    )
    with pytest.raises(ValueError, match=r"embeddings have no timestep 666; they have"):
        other("a boat", motion, embeddings=kept, **COMMON | {"num_inference_steps": 3})
    broken = {t: one[:, :-1] for t, one in kept.items()}
    with pytest.raises(ValueError, match=r"embeddings\[\d+\] must have shape"):
        other("a boat", motion, embeddings=broken, **COMMON)


def test_an_offset_of_zero_changes_nothing(pipe: Any, video: torch.Tensor) -> None:
    transfer = MotionTransfer(pipe, block=1, inner_steps=0, guided_steps=2)
    motion = transfer.extract(video)
    plain = transfer("a boat", motion, generator=seeded(), **COMMON).frames
    rotary = pipe.transformer.config.use_rotary_positional_embeddings
    zeros = torch.zeros((1, 2, 2, 48, 16) if rotary else (1, 48, 32))
    offsets = {float(t): zeros for t in pipe.scheduler.timesteps}
    same = transfer("a boat", motion, embeddings=offsets, generator=seeded(), **COMMON).frames
    torch.testing.assert_close(same, plain, atol=1e-5, rtol=1e-4)
    moved = {t: torch.randn(one.shape, generator=seeded()) for t, one in offsets.items()}
    assert not torch.allclose(
        transfer("a boat", motion, embeddings=moved, generator=seeded(), **COMMON).frames, plain, atol=1e-2
    )


def test_a_users_callback_is_called_first(pipe: Any, video: torch.Tensor) -> None:
    transfer = MotionTransfer(pipe, block=1, inner_steps=0, guided_steps=2, inject_blocks=())
    motion = transfer.extract(video)
    seen: list[int] = []

    def mine(pipe: Any, i: int, t: torch.Tensor, state: dict[str, Any]) -> dict[str, Any]:
        seen.append(i)
        return {"latents": torch.zeros_like(state["latents"])}

    out = transfer("a boat", motion, callback_on_step_end=mine, **COMMON | {"output_type": "latent"}).frames
    assert seen == [0, 1]
    assert not out.any()


def test_bad_input_is_named_before_any_network_runs(
    pipe: Any, video: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = MotionTransfer(pipe, block=1, guided_steps=2)
    motion = transfer.extract(video)

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a network ran")

    for part in (pipe.transformer, pipe.vae, pipe.text_encoder):
        monkeypatch.setattr(part, "forward", never)
    cases: list[tuple[str, Any, dict[str, Any]]] = [
        ("prompt must hold at least one text", [], {}),
        ("negative_prompt must have 2 texts as prompt; got 1", ["a", "b"], {"negative_prompt": ["c"]}),
        ("the pipeline has no argument 'strength'", "a", {"strength": 1}),
        ("height must be the motion's 64; got 32", "a", {"height": 32}),
        ("num_frames must give the motion's 3 latent frames; got 17", "a", {"num_frames": 17}),
        ("at least guided_steps = 2; got 1", "a", {"num_inference_steps": 1}),
        (r"latents must have shape \(1, 3, 4, 8, 8\)", "a", {"latents": torch.zeros(1, 3, 4, 8, 7)}),
        ("num_videos_per_prompt must be 1", "a", {"num_videos_per_prompt": 2}),
    ]
    for text, prompt, extra in cases:
        with pytest.raises(ValueError, match=text):
            transfer(prompt, motion, **COMMON | extra)
    with pytest.raises(ValueError, match=r"video must have shape \(F, 3, H, W\)"):
        transfer.extract(video[:, :, :63])
    with pytest.raises(ValueError, match=r"video must lie in \[0, 1\]"):
        transfer.extract(2 * video)
    with pytest.raises(TypeError, match="pipe must be a CogVideoXPipeline; got Linear"):
        MotionTransfer(torch.nn.Linear(1, 1), block=0)
    for text, options in [
        (r"block must lie in \[0, 2\]; got 3", {"block": 3}),
        (r"inject_blocks must lie in \[0, 2\]; got -1", {"block": 0, "inject_blocks": (-1,)}),
        ("lr must be two positive numbers", {"block": 0, "lr": (0.1, 0.0)}),
        ("inner_steps must be an integer of at least 0; got -1", {"block": 0, "inner_steps": -1}),
        ("optimise must be one of latent, embedding; got 'noise'", {"block": 0, "optimise": "noise"}),
    ]:
        with pytest.raises(ValueError, match=text):
            MotionTransfer(pipe, **options)


# -- the guide without a pipeline ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformer() -> Any:
    """Pixels, as a testbed's: no autoencoder, additive positions."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = CogVideoXTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=3,
            out_channels=3,
            time_embed_dim=8,
            text_embed_dim=8,
            num_layers=3,
            sample_width=8,
            sample_height=8,
            sample_frames=4,
            patch_size=2,
            temporal_compression_ratio=1,
            max_text_seq_length=5,
        )
        for parameter in model.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def flow_scheduler(steps: int = 3) -> FlowMatchEulerDiscreteScheduler:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=8.0)
    scheduler.set_timesteps(steps)
    return scheduler


def test_the_reference_flow_is_that_of_the_blocks_queries_and_keys(transformer: Any) -> None:
    guide = MotionGuide(transformer, block=1)
    clip, text = rand(2, 4, 3, 8, 8), rand(2, 5, 8, seed=1)
    kept: list[torch.Tensor] = []
    attn = transformer.transformer_blocks[1].attn1
    hooks = [  # the norms are the last thing that happens to queries and keys without rotary embedding
        norm.register_forward_hook(lambda m, a, out: kept.append(out)) for norm in (attn.norm_q, attn.norm_k)
    ]
    motion = guide.extract(clip, text)
    for hook in hooks:
        hook.remove()
    q, k = kept
    torch.testing.assert_close(
        motion.flow,
        attention_motion_flow(q, k, frames=4, height=4, width=4, hard=True, text_tokens=5),
    )
    assert motion.flow.shape == (2, 16, 16, 2)


@pytest.mark.parametrize("optimise", ["latent", "embedding"])
@pytest.mark.parametrize("objective", ["amf", "smm"])
def test_a_batch_is_guided_as_each_video_alone(transformer: Any, optimise: Any, objective: Any) -> None:
    options = {"block": 1, "lr": (0.05, 0.05), "inner_steps": 2, "guided_steps": 2}
    guide = MotionGuide(transformer, optimise=optimise, objective=objective, **options)
    clips, text, noise = rand(2, 4, 3, 8, 8), rand(2, 5, 8, seed=1), rand(2, 4, 3, 8, 8, seed=2)

    def run(rows: slice) -> tuple[torch.Tensor, list[list[float]]]:
        scheduler = flow_scheduler()
        motion = guide.extract(clips[rows], text[rows])
        x = noise[rows]
        with torch.no_grad(), guide.follow(motion, noise[rows], text[rows]):
            for i, t in enumerate(scheduler.timesteps):
                x = guide.before_step(i, x, t, scheduler)
                states = torch.cat([torch.zeros_like(text[rows]), text[rows]])
                both = transformer(torch.cat([x, x]), states, t.expand(len(states)), return_dict=False)[0]
                null, conditional = both.chunk(2)
                x = scheduler.step(null + 3 * (conditional - null), t, x).prev_sample
        return x, guide.losses

    together, losses = run(slice(0, 2))
    assert all(step[-1] < step[0] for step in losses)
    alone = torch.cat([run(slice(i, i + 1))[0] for i in range(2)])
    torch.testing.assert_close(together, alone, atol=2e-4, rtol=1e-3)


def test_injected_blocks_attend_to_the_noised_reference(transformer: Any) -> None:
    guide = MotionGuide(transformer, block=1, inner_steps=0, guided_steps=1, inject_blocks=(0,))
    clip, text, noise = rand(1, 4, 3, 8, 8), rand(1, 5, 8, seed=1), rand(1, 4, 3, 8, 8, seed=2)
    scheduler = flow_scheduler()
    t = scheduler.timesteps[1]
    sigma = scheduler.sigmas[1]
    motion = guide.extract(clip, text)
    states: list[torch.Tensor] = []
    handle = transformer.transformer_blocks[0].attn1.register_forward_hook(
        lambda module, args, out: states.append(out[0])
    )
    with torch.no_grad(), guide.follow(motion, noise, text):
        guide.before_step(0, noise, t, scheduler)
        x = (1 - sigma) * clip + sigma * noise
        states.clear()
        # the video that is being made equals the noised reference: what it attends to is its own then
        injected = transformer(x, text, t.expand(1), return_dict=False)[0]
        moved = transformer(x + 1, text, t.expand(1), return_dict=False)[0]
        guide.before_step(1, x, t, scheduler)  # beyond the guided steps
        free = transformer(x + 1, text, t.expand(1), return_dict=False)[0]
    with torch.no_grad():
        plain = transformer(x, text, t.expand(1), return_dict=False)[0]
        shifted = transformer(x + 1, text, t.expand(1), return_dict=False)[0]
    handle.remove()
    torch.testing.assert_close(injected, plain, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(moved, shifted, atol=1e-4)
    assert torch.equal(free, shifted)


def test_later_blocks_do_not_run_for_the_loss(transformer: Any) -> None:
    calls = {"last": 0, "first": 0}

    def count(name: str) -> Any:
        def hook(module: Any, args: Any) -> None:
            calls[name] += 1

        return hook

    hooks = [
        transformer.transformer_blocks[index].register_forward_pre_hook(count(name))
        for name, index in (("first", 0), ("last", 2))
    ]
    clip, text, noise = rand(1, 4, 3, 8, 8), rand(1, 5, 8, seed=1), rand(1, 4, 3, 8, 8, seed=2)
    scheduler = flow_scheduler()

    def run() -> torch.Tensor:
        guide = MotionGuide(transformer, block=1, inner_steps=3, guided_steps=1)
        motion = guide.extract(clip, text)
        calls.update(first=0, last=0)
        with guide.follow(motion, noise, text):
            return guide.before_step(0, noise, scheduler.timesteps[0], scheduler)

    fast = run()
    assert calls == {"first": 4, "last": 0}  # one for the reference's keys, three for the updates
    transformer.enable_gradient_checkpointing()
    transformer.train()
    try:
        slow = run()
    finally:
        transformer.disable_gradient_checkpointing()
        transformer.eval()
        for hook in hooks:
            hook.remove()
    assert calls["last"] == 3
    torch.testing.assert_close(slow, fast, atol=1e-5, rtol=1e-4)


def test_the_latent_descends_along_the_gradient_of_the_loss(transformer: Any) -> None:
    guide = MotionGuide(
        transformer, block=1, lr=(1e-4, 1e-4), inner_steps=1, guided_steps=1, inject_blocks=()
    )
    clip, text, noise = rand(1, 4, 3, 8, 8), rand(1, 5, 8, seed=1), rand(1, 4, 3, 8, 8, seed=2)
    scheduler = flow_scheduler()
    t = scheduler.timesteps[0]
    motion = guide.extract(clip, text)

    def loss(x: torch.Tensor) -> torch.Tensor:
        kept: list[torch.Tensor] = []
        attn = transformer.transformer_blocks[1].attn1
        hooks = [
            n.register_forward_hook(lambda m, a, out: kept.append(out)) for n in (attn.norm_q, attn.norm_k)
        ]
        transformer(x, text, t.expand(1), return_dict=False)
        for hook in hooks:
            hook.remove()
        flow = attention_motion_flow(*kept, frames=4, height=4, width=4, text_tokens=5)
        return amf_loss(motion.flow, flow).sum()

    x = noise.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x), x)
    with guide.follow(motion, noise, text):
        found = guide.before_step(0, noise, t, scheduler)
    # the first update of Adam is the sign of the gradient times the rate
    big = gradient.abs() > 1e-4
    assert big.float().mean() > 0.2
    torch.testing.assert_close((found - noise)[big], -1e-4 * gradient[big].sign(), atol=2e-6, rtol=0.02)


def test_a_guide_says_what_does_not_fit(transformer: Any) -> None:
    guide = MotionGuide(transformer, block=1, guided_steps=1)
    clip, text, scheduler = rand(2, 4, 3, 8, 8), rand(2, 5, 8, seed=1), flow_scheduler()
    with pytest.raises(ValueError, match=r"latents must have shape \(B, F, 3, h, w\)"):
        guide.extract(clip[:0], text[:0])
    with pytest.raises(ValueError, match=r"text must have shape \(2, L, D\); got \(1, 5, 8\)"):
        guide.extract(clip, text[:1])
    with pytest.raises(ValueError, match="rotary: this transformer has no rotary"):
        guide.extract(clip, text, (text, text))
    motion = guide.extract(clip, text)
    three = rand(3, 4, 3, 8, 8)
    with (
        pytest.raises(ValueError, match="cannot guide latents of shape"),
        guide.follow(motion, three, rand(3, 5, 8)),
    ):
        pass
    with (
        pytest.raises(ValueError, match="extracted at block 1; this guide's block is 0"),
        MotionGuide(transformer, block=0).follow(motion, clip, text),
    ):
        pass
    with pytest.raises(RuntimeError, match="inside `with guide.follow"):
        guide.before_step(0, clip, scheduler.timesteps[0], scheduler)
    with guide.follow(motion, clip, text):
        with pytest.raises(ValueError, match="is not one whose x0 is known"):
            guide.before_step(0, clip, scheduler.timesteps[0], object())
        with pytest.raises(ValueError, match="is not finite at timestep"):
            guide.before_step(0, clip * float("inf"), scheduler.timesteps[0], scheduler)
        with pytest.raises(RuntimeError, match="follows a motion already"), guide.follow(motion, clip, text):
            pass
    with pytest.raises(TypeError, match="must be a CogVideoXTransformer3DModel; got Linear"):
        MotionGuide(torch.nn.Linear(1, 1), block=0)


def test_the_folder_of_a_pipeline_is_all_it_takes(pipe: Any, tmp_path: Path, video: torch.Tensor) -> None:
    pipe.save_pretrained(tmp_path)
    loaded = CogVideoXPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    transfer = MotionTransfer(loaded, block=1, inner_steps=1, guided_steps=1)
    motion = transfer.extract(video)
    out = transfer(
        ["a boat", "a dog"], motion, generator=seeded(), **COMMON | {"output_type": "latent"}
    ).frames
    assert out.shape == (2, 3, 4, 8, 8)
    assert out.dtype == torch.bfloat16
    assert out.isfinite().all()
