"""The recorder of attention to words, in real transformers, and where quoted words stand."""

from __future__ import annotations

import pytest
import tiny_sd3
import torch
from diffusers import DiTTransformer2DModel, FluxTransformer2DModel, SD3Transformer2DModel

from sillok.methods.diffusion.attention import AttentionTap
from sillok.methods.diffusion.text_attention import TextAttentionRecorder, _by_prefix, quoted_token_ids


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def sd3():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=16,
            caption_projection_dim=32,
            pooled_projection_dim=16,
            pos_embed_max_size=8,
            dual_attention_layers=(
                0,
            ),  # as in 3.5: an attention among image tokens alone, which does not count
        )
    return model.eval()


@pytest.fixture(scope="module")
def flux():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 4, 8),
        )
    return model.eval()


def call_sd3(model, batch: int = 2, text: int = 5) -> torch.Tensor:
    return model(
        noise(1, batch, 4, 8, 8),
        encoder_hidden_states=noise(2, batch, text, 16),
        pooled_projections=noise(3, batch, 16),
        timestep=torch.full((batch,), 500.0),
    ).sample


def call_flux(model, batch: int = 2, text: int = 5) -> torch.Tensor:
    return model(
        noise(1, batch, 16, 16),
        encoder_hidden_states=noise(2, batch, text, 16),
        pooled_projections=noise(3, batch, 16),
        timestep=torch.full((batch,), 0.5),
        img_ids=torch.cartesian_prod(torch.zeros(1), torch.arange(4.0), torch.arange(4.0)),
        txt_ids=torch.zeros(text, 3),
    ).sample


CALLS = {"sd3": (call_sd3, 16, False), "flux": (call_flux, 16, True)}


@pytest.fixture(params=list(CALLS))
def case(request):
    return request.getfixturevalue(request.param), *CALLS[request.param]


def by_hand(model, call, joint: list[str], places: list[int], image: int, text_first: bool) -> torch.Tensor:
    """The mass from softmax over whole sequences, layer by layer."""
    masses = []

    def look(seen) -> None:
        weights = (seen.query.double() @ seen.key.double().transpose(-1, -2) * seen.scale).softmax(-1)
        text = weights.shape[-1] - image
        rows = slice(text, None) if text_first else slice(0, image)
        columns = [p if text_first else image + p for p in places]
        masses.append(weights[:, :, rows][..., columns].sum(-1).mean(1))

    with torch.no_grad(), AttentionTap(model, joint, look):
        call(model)
    return torch.stack(masses).mean(0)


JOINT = {
    "SD3Transformer2DModel": ["transformer_blocks.0.attn", "transformer_blocks.1.attn"],
    "FluxTransformer2DModel": ["transformer_blocks.0.attn", "single_transformer_blocks.0.attn"],
}


def test_the_mass_is_that_of_a_softmax_over_text_and_image(case) -> None:
    model, call, image, text_first = case
    places = [1, 3]
    with torch.no_grad(), TextAttentionRecorder(model, places) as recorder:
        call(model)
    expected = by_hand(model, call, JOINT[type(model).__name__], places, image, text_first)
    torch.testing.assert_close(recorder.mass().double(), expected, atol=1e-6, rtol=1e-5)
    low, high = expected.amin(1, keepdim=True), expected.amax(1, keepdim=True)
    torch.testing.assert_close(recorder.map().double(), (expected - low) / (high - low), atol=1e-4, rtol=1e-4)


def test_all_words_and_all_patches_share_out_one(case) -> None:
    model, call, _, _ = case
    parts = []
    for places in ([0, 1], [2, 3, 4], [0, 1, 2, 3, 4]):
        with torch.no_grad(), TextAttentionRecorder(model, places) as recorder:
            call(model)
        parts.append(recorder.mass())
    torch.testing.assert_close(parts[0] + parts[1], parts[2])
    assert float(parts[2].max()) < 1


def test_each_prompt_has_its_own_words(case) -> None:
    model, call, _, _ = case
    with torch.no_grad(), TextAttentionRecorder(model, [[0], [2, 4]]) as recorder:
        call(model)
    rows = []
    for places in ([0], [2, 4]):
        with torch.no_grad(), TextAttentionRecorder(model, places) as other:
            call(model)
        rows.append(other.mass())
    torch.testing.assert_close(recorder.mass(), torch.stack([rows[0][0], rows[1][1]]))
    with torch.no_grad(), TextAttentionRecorder(model, [[0], [2, 4]]) as recorder:
        call(model, batch=4)  # two images a prompt
    assert recorder.map().shape == (4, 16)


def test_of_guidance_only_the_conditional_branch_counts(case) -> None:
    model, call, _, _ = case
    with torch.no_grad(), TextAttentionRecorder(model, [1]) as whole:
        call(model, batch=4)
    with torch.no_grad(), TextAttentionRecorder(model, [1], guidance="batched") as recorder:
        call(model, batch=4)
    torch.testing.assert_close(recorder.mass(), whole.mass()[2:])
    with torch.no_grad(), TextAttentionRecorder(model, [1], guidance="separate") as recorder:
        call(model, batch=2)
        first = recorder.mass()
        call(model, batch=3)  # the unconditional branch
        assert torch.equal(recorder.mass(), first)
        call(model, batch=4)
        torch.testing.assert_close(recorder.mass(), whole.mass())


def test_it_leaves_the_transformer_as_it_was(case) -> None:
    model, call, _, _ = case
    with torch.no_grad():
        before = call(model)
        with TextAttentionRecorder(model, [1]):
            assert torch.equal(call(model), before)
        assert not model._forward_pre_hooks
        assert torch.equal(call(model), before)


def test_long_images_are_recorded_in_parts(case, monkeypatch) -> None:
    model, call, _, _ = case
    with torch.no_grad(), TextAttentionRecorder(model, [1, 2]) as whole:
        call(model)
    monkeypatch.setattr("sillok.methods.diffusion.text_attention._CHUNK", 5)
    with torch.no_grad(), TextAttentionRecorder(model, [1, 2]) as recorder:
        call(model)
    torch.testing.assert_close(recorder.mass(), whole.mass())


def test_where_all_patches_look_alike_the_map_is_nothing(sd3) -> None:
    recorder = TextAttentionRecorder(sd3, [1])
    recorder._sum, recorder._layers = torch.full((1, 4), 0.3), 1
    assert torch.equal(recorder.map(), torch.zeros(1, 4))


def test_what_cannot_be_recorded_is_named_before_the_network_runs(sd3) -> None:
    dit = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, num_layers=1, sample_size=8)
    with pytest.raises(ValueError, match="transformer must be one of SD3.*got DiTTransformer2DModel"):
        TextAttentionRecorder(dit, [1])
    for ids in ([], [[1], []], [-1]):
        with pytest.raises(ValueError, match="token_ids must be places of at least one token"):
            TextAttentionRecorder(sd3, ids)
    with pytest.raises(RuntimeError, match="no network call was recorded"):
        TextAttentionRecorder(sd3, [1]).map()
    ran = []
    handle = sd3.pos_embed.register_forward_hook(lambda *_: ran.append(1))
    try:
        with TextAttentionRecorder(sd3, [5]), pytest.raises(ValueError, match=r"lie in \[0, 4\].*got 5"):
            call_sd3(sd3)
        with TextAttentionRecorder(sd3, [[1]] * 3), pytest.raises(ValueError, match="of 3 prompts.*2 rows"):
            call_sd3(sd3)
        with (
            TextAttentionRecorder(sd3, [1], guidance="batched"),
            pytest.raises(ValueError, match=r"3 rows \(guidance 'batched'\)"),
        ):
            call_sd3(sd3, batch=3)
    finally:
        handle.remove()
    assert not ran


@pytest.mark.usefixtures("as_users_run_it")
def test_an_unknown_guidance_is_named(sd3) -> None:
    with pytest.raises(ValueError, match="guidance must be none, batched or separate; got 'half'"):
        TextAttentionRecorder(sd3, [1], guidance="half")


# -- quoted words --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return tiny_sd3.tokenizer_of_letters(tmp_path_factory.mktemp("letters") / "clip", 40)


def spelled(tokenizer, prompt: str) -> str:
    ids = tokenizer(prompt).input_ids
    tokens = tokenizer.convert_ids_to_tokens([ids[i] for i in quoted_token_ids(tokenizer, prompt)])
    return "".join(token.replace("</w>", "").replace("▁", "") for token in tokens)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ('a sign "open"', "open"),
        ('"ab" over “cd”', "abcd"),
        ("a sign 'open' in bob's hand", "open"),
        ('a "b c" d', "bc"),
        ("the word ‘go’.", "go"),
    ],
)
def test_quoted_text_is_found(clip, prompt: str, expected: str) -> None:
    for tokenizer in (clip, tiny_sd3.t5_tokenizer(40)):
        assert spelled(tokenizer, prompt) == expected


@pytest.mark.parametrize("prompt", ['a sign "open"', '"ab" over "cd"', "a 'go' b"])
def test_tokenizers_without_offsets_find_the_same(clip, prompt: str) -> None:
    import re

    spans = [match.span(1) for match in re.finditer(r"[\"'](\w+)[\"']", prompt)]
    assert _by_prefix(clip, prompt, spans) == quoted_token_ids(clip, prompt)


@pytest.mark.parametrize("prompt", ["a sign", "bob's", 'a "" b', ""])
def test_a_prompt_without_quoted_text_is_named(clip, prompt: str) -> None:
    with pytest.raises(ValueError, match="prompt must have text in quotation marks"):
        quoted_token_ids(clip, prompt)


def test_quoted_text_that_would_be_cut_off_is_named(clip) -> None:
    with pytest.raises(ValueError, match="within the tokenizer's 40 tokens"):
        quoted_token_ids(clip, "x" * 60 + ' "ab"')
