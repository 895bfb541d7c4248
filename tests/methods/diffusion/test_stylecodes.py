"""StyleCodes: bits and characters, the encoder, the control beside a frozen UNet, and a real pipeline."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import tiny_sd
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.methods.diffusion.stylecodes import (
    ALPHABET,
    StyleEncoder,
    clipped_share,
    from_code,
    from_released_code,
    quantize,
    to_code,
)
from sillok.methods.diffusion.stylecontrol import StyleCodePipeline, StyleControl


def latents(seed: int = 0, batch: int = 4, dim: int = 20, spread: float = 1.0) -> torch.Tensor:
    return spread * torch.randn(batch, dim, generator=torch.Generator().manual_seed(seed))


def test_twenty_numbers_are_twenty_characters_and_come_back_within_half_a_step() -> None:
    z = latents()
    for row, code in zip(z, to_code(z), strict=True):
        assert len(code) == 20
        assert set(code) <= set(ALPHABET)
        assert (from_code(code) - row.clamp(-1, 1)).abs().max() <= 1 / 63 + 1e-6


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8, 16])
def test_other_numbers_of_bits(bits: int) -> None:
    z = latents(dim=7)
    for row, code in zip(z, to_code(z, bits=bits), strict=True):
        assert len(code) == -(-7 * bits // 6)
        assert (from_code(code, bits=bits, dim=7) - row.clamp(-1, 1)).abs().max() <= 1 / (2**bits - 1) + 1e-6


def test_a_code_is_the_base64_of_fifteen_packed_bytes() -> None:
    z = latents()
    levels = ((z.clamp(-1, 1) + 1) * 31.5).round().long()
    for row, code in zip(levels.tolist(), to_code(z), strict=True):
        packed = sum(level << 6 * (19 - place) for place, level in enumerate(row)).to_bytes(15, "big")
        assert base64.b64encode(packed).decode() == code


@settings(max_examples=50, deadline=None)
@given(st.text(ALPHABET, min_size=20, max_size=20))
def test_every_string_of_twenty_characters_is_a_code(code: str) -> None:
    z = from_code(code)
    assert z.shape == (20,)
    assert z.abs().max() <= 1
    assert to_code(z[None]) == [code]


def test_levels_reach_both_ends_and_zero_is_between_two() -> None:
    assert from_code("A" * 20).eq(-1).all()
    assert from_code("/" * 20).eq(1).all()
    assert to_code(torch.tensor([[-9.0, -1.0, 1.0, 9.0]])) == ["AA//"]


def test_rounding_to_the_nearest_and_its_gradient() -> None:
    z = latents(3).requires_grad_()
    out = quantize(z)
    assert torch.equal(torch.stack([from_code(code) for code in to_code(z)]), out)
    assert (out - z.clamp(-1, 1)).abs().max() <= 1 / 63 + 1e-6
    out.sum().backward()
    assert z.grad is not None
    assert torch.equal(z.grad, (z.abs() <= 1).float())
    assert clipped_share(z) == pytest.approx(1 - float(z.grad.mean()))


def test_codes_of_the_released_program() -> None:
    values = list(range(0, 60, 3))
    code = base64.b64encode(bytes(values)).decode().rstrip("=")
    assert len(code) == 27
    torch.testing.assert_close(from_released_code(code), torch.tensor(values) * 2 / 63 - 1)
    for bad in (code[:-4], "A" * 20, code[:-1] + "!", base64.b64encode(bytes([64] * 20)).decode()):
        with pytest.raises(ValueError, match="code must"):
            from_released_code(bad)


@pytest.mark.usefixtures("as_users_run_it")
def test_bad_codes_and_latents_are_named() -> None:
    for code, message in [
        ("A" * 19, "a string of 20 characters"),
        ("A" * 21, "20 numbers of 6 bits"),
        ("", "20 characters"),
        (None, "20 characters"),
        ("A" * 19 + "=", "letters, digits, \\+ and / only; got '='"),
        ("A" * 19 + "한", "only; got '한'"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_code(code)
    for z, message in [
        (latents()[:0], "each at least 1; got \\(0, 20\\)"),
        (latents()[0], "shape"),
        (latents() * float("inf"), "finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            to_code(z)
    for bits in (0, 17, True):
        with pytest.raises(ValueError, match="bits must be an integer from 1 to 16"):
            to_code(latents(), bits=bits)
    with pytest.raises(ValueError, match="dim must be"):
        from_code("", dim=0)


def encoder(seed: int = 0, **options) -> StyleEncoder:
    torch.manual_seed(seed)
    given = {"input_dim": 12, "d_model": 16, "heads": 2, "out_channels": 64, "feedforward": 32}
    return StyleEncoder(**(given | options)).eval()


def features(seed: int = 0, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 9, 12, generator=torch.Generator().manual_seed(seed))


def test_the_encoder_normalises_and_knows_places_and_rows() -> None:
    net, x = encoder(), features()
    z = net.encode(x)
    assert z.shape == (2, 20)
    torch.testing.assert_close(z.mean(1), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std(1, unbiased=False), torch.ones(2), atol=1e-2, rtol=0)
    torch.testing.assert_close(net.encode(x[1:]), z[1:], atol=1e-5, rtol=1e-5)
    assert (net.encode(x.flip(1)) - z).abs().max() > 1e-3


def test_the_decoder_gives_a_map_of_any_size_that_depends_on_the_latent() -> None:
    net = encoder()
    z = latents(batch=2)
    out = net.decode(z, 3, 5)
    assert out.shape == (2, 64, 3, 5)
    assert (out[0] - out[1]).abs().max() > 1e-3
    assert (out[:, :, 0, 0] - out[:, :, 2, 4]).abs().max() > 1e-3
    torch.testing.assert_close(net.decode(z[1:], 3, 5), out[1:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        net(features(), 2, 2, bits=6), net.decode(quantize(net.encode(features())), 2, 2)
    )
    assert not torch.equal(net(features(), 2, 2), net(features(), 2, 2, bits=2))


def test_gradients_reach_the_whole_encoder_through_the_code() -> None:
    net = encoder()
    net(features(), 2, 2, bits=6).square().sum().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # one memory token: every softmax over it is 1, and its queries and keys do nothing; nor does a key's bias
    assert all("multihead_attn.in_proj" in name or "multihead_attn.norm" in name for name in still)


def test_the_published_size() -> None:
    with torch.device("meta"):
        net = StyleEncoder()
    assert net.decode(torch.empty(1, 20, device="meta"), 8, 8).shape == (1, 1280, 8, 8)


def test_bad_shapes_of_the_encoder() -> None:
    net = encoder()
    for call, message in [
        (lambda: net.encode(features()[:0]), "B >= 1"),
        (lambda: net.encode(torch.zeros(1, 9, 13)), r"\(B, N, 12\)"),
        (lambda: net.decode(torch.zeros(1, 19), 2, 2), r"\(B, 20\)"),
        (lambda: encoder(d_model=15), "d_model must be even"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_sd.save_tiny_sd(tmp_path_factory.mktemp("sd") / "model")


@pytest.fixture
def base(folder: Path) -> StableDiffusionPipeline:
    pipe = StableDiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def inputs(batch: int = 2, side: int = 8) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(1)
    return (
        torch.randn(batch, 4, side, side, generator=g),
        torch.tensor(321),
        torch.randn(batch, 5, 32, generator=g),
    )


def trained(control: StyleControl, seed: int = 0) -> StyleControl:
    """As after some steps: the mixing layers have left the identity."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for layer in control.mix:
            layer.weight += 0.05 * torch.randn_like(layer.weight)
    return control


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("side", [8, 7])
def test_untrained_it_changes_nothing_and_neither_does_scale_zero(base, ratio: float, side: int) -> None:
    control = StyleControl.from_unet(base.unet, size_ratio=ratio).eval()
    x, t, text = inputs(side=side)
    plain = base.unet(x, t, text).sample
    style = torch.randn(2, control.map_channels, -(-side // 2), -(-side // 2))
    assert torch.equal(control(base.unet, style, x, t, text, scale=0.9).sample, plain)
    trained(control)
    assert torch.equal(control(base.unet, style, x, t, text, scale=0.0).sample, plain)
    steered = control(base.unet, style, x, t, text).sample
    assert (steered - plain).abs().max() > 1e-3
    assert (control(base.unet, -style, x, t, text).sample - steered).abs().max() > 1e-4
    assert torch.equal(base.unet(x, t, text).sample, plain)  # and it has left


def test_it_is_the_decoder_run_by_hand(base) -> None:
    """Written out for two blocks of two sub-blocks each, without hooks."""
    unet = base.unet
    control = trained(StyleControl.from_unet(unet, size_ratio=0.5)).eval()
    x, t, text = inputs()
    style = torch.randn(2, control.map_channels, 4, 4)
    temb = unet.time_embedding(unet.time_proj(t.expand(2)))
    h = unet.conv_in(x)
    skips = [h]
    for block in unet.down_blocks:
        options = {"encoder_hidden_states": text} if hasattr(block, "attentions") else {}
        h, more = block(h, temb, **options)
        skips += more

    def mix(index, own, h):
        joint = torch.cat([own, h], 1)
        layer = control.mix[index]
        out = torch.nn.functional.conv2d(joint, layer.weight[:, :, None, None], layer.bias)
        return out[:, : own.shape[1]], 0.3 * h + 0.7 * out[:, own.shape[1] :]

    own = control.mid_block(style, temb, encoder_hidden_states=text)
    own, h = mix(0, own, unet.mid_block(h, temb, encoder_hidden_states=text))
    index = 1
    for block, ours in zip(unet.up_blocks, control.up_blocks, strict=True):
        for k in range(2):
            skip = skips.pop()
            h = block.resnets[k](torch.cat([h, skip], 1), temb)
            channels = ours.resnets[k].in_channels - own.shape[1]
            own = ours.resnets[k](torch.cat([own, torch.zeros(2, channels, *own.shape[2:])], 1), temb)
            if hasattr(block, "attentions"):
                h = block.attentions[k](h, encoder_hidden_states=text).sample
                own = ours.attentions[k](own, encoder_hidden_states=text).sample
            if k == 1 and block.upsamplers:
                h, own = block.upsamplers[0](h), ours.upsamplers[0](own)
            own, h = mix(index, own, h)
            index += 1
    expected = unet.conv_out(unet.conv_act(unet.conv_norm_out(h)))
    found = control(unet, style, x, t, text, scale=0.7).sample
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_no_gradient_reaches_the_base_and_all_of_the_control_learns(base) -> None:
    control, net = StyleControl.from_unet(base.unet), encoder()
    trained(control)
    x, t, text = inputs()
    control(base.unet, net(features(), 4, 4, bits=6), x, t, text).sample.square().mean().backward()
    assert all(p.grad is None and not p.requires_grad for p in base.unet.parameters())
    idle = [name for name, p in control.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []
    assert net.latent_proj.weight.grad.abs().sum() > 0


def test_it_starts_as_a_copy_and_survives_saving(base, tmp_path: Path) -> None:
    control = trained(StyleControl.from_unet(base.unet))
    assert torch.equal(
        control.up_blocks[0].resnets[0].conv1.weight, base.unet.up_blocks[0].resnets[0].conv1.weight
    )
    control.save_pretrained(tmp_path)
    again = StyleControl.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(control.parameters(), again.parameters(), strict=True))
    x, t, text = inputs()
    style = torch.randn(1, 64, 4, 4)
    for scale in (0.4, 0.9):
        outs = [one.eval()(base.unet, style, x, t, text, scale=scale).sample for one in (control, again)]
        assert torch.equal(*outs)


@pytest.fixture
def pipe(folder: Path, base) -> StyleCodePipeline:
    made = StyleCodePipeline.from_pretrained(
        folder,
        style_encoder=encoder(),
        style_control=trained(StyleControl.from_unet(base.unet)).eval(),
        safety_checker=None,
        image_encoder=None,
    )
    made.set_progress_bar_config(disable=True)
    return made


def draw(pipe, prompt="a cat", seed: int = 0, **options) -> torch.Tensor:
    given = {
        "num_inference_steps": 2,
        "height": 16,
        "width": 16,
        "output_type": "latent",
        "guidance_scale": 3.0,
    }
    return pipe(prompt, generator=torch.Generator().manual_seed(seed), **(given | options)).images


def test_in_a_pipeline_a_code_draws_and_scale_zero_is_the_base(pipe, base) -> None:
    code = pipe.make_code(features(0, 1))[0]
    assert len(code) == 20
    styled = draw(pipe, style_code=code)
    assert torch.equal(draw(pipe, style_code=code, control_scale=0.0), draw(base))
    assert (styled - draw(base)).abs().max() > 1e-3
    assert torch.equal(draw(pipe, style_image=features(0, 1)), styled)  # what is shared is what is seen
    assert (draw(pipe, style_code="A" * 20) - styled).abs().max() > 1e-4
    assert torch.equal(draw(pipe, style_code=code), styled)


def test_in_a_pipeline_each_prompt_may_have_its_code(pipe) -> None:
    codes = pipe.make_code(features(5, 2))
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    both = draw(pipe, ["a cat", "dog"], style_code=codes, latents=noise)
    for row in range(2):
        alone = draw(pipe, ["a cat", "dog"][row], style_code=codes[row], latents=noise[row : row + 1])
        torch.testing.assert_close(alone, both[row : row + 1], atol=1e-4, rtol=1e-4)
    four = draw(
        pipe, ["a cat", "dog"], style_code=codes, num_images_per_prompt=2, latents=noise[[0, 0, 1, 1]]
    )
    torch.testing.assert_close(four, both[[0, 0, 1, 1]], atol=1e-4, rtol=1e-4)


def test_a_pipeline_is_saved_with_its_style_parts(pipe, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    again = StyleCodePipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    code = "StyleCodes/are+short"
    torch.testing.assert_close(draw(again, style_code=code), draw(pipe, style_code=code))


def test_bad_input_is_named_before_the_network_is_run(pipe, base) -> None:
    code = "A" * 20
    pipe.unet.register_forward_pre_hook(lambda *_: pytest.fail("the network was run"))
    for options, message in [
        ({}, "either style_code or style_image"),
        ({"style_code": code, "style_image": features()}, "not both"),
        ({"style_code": [code, code]}, "one, or one for each of 1 prompts; got 2"),
        ({"style_code": []}, "got 0"),
        ({"style_code": "short"}, "20 characters"),
        ({"style_code": code, "control_scale": 1.5}, r"scale must lie in \[0, 1\]"),
        ({"style_image": features()[:0]}, "B >= 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            draw(pipe, **options)
    control = StyleControl.from_unet(base.unet)
    x, t, text = inputs()
    for style in (torch.zeros(2, 32, 4, 4), torch.zeros(3, 64, 4, 4)):
        with pytest.raises(ValueError, match="style must give a map"):
            control(base.unet, style, x, t, text)
    other = type(base.unet).from_config({**base.unet.config, "block_out_channels": (32, 32)})
    with pytest.raises(ValueError, match="decoder of the control's base"):
        control(other, torch.zeros(1, 64, 4, 4), x, t, text)
    with pytest.raises(ValueError, match="size_ratio"):
        StyleControl.from_unet(base.unet, size_ratio=0.01)
    assert not base.unet.mid_block._forward_hooks
