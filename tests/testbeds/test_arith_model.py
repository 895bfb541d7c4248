"""The arith model: tokenizer, packing, sampling against `generate`, steps and tokens, figures, training."""

from __future__ import annotations

import itertools
import math
import random

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from sillok import testbeds
from sillok.testbeds import arith
from sillok.testbeds.arith import bed as module
from sillok.testbeds.arith import sampling
from sillok.testbeds.arith.tokenizer import ALPHABET, BOS, EOS, VOCABULARY, build_tokenizer


@pytest.fixture(scope="module")
def bed():
    return testbeds.load("arith")


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def noisy():
    """A model of the class with weights that make long and varied text (small, so that it is quick)."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=96,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=0,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


PROMPTS = ["1+1\n", "12+7*8-5\n", "ann has 12, bob 5 more. both?\n", "4x+7=39\n", "9\n", "3(x+4)=21\n"]


def tokens(completions):
    return [one.tokens for one in completions]


# --- tokenizer ---


def test_decoding_gives_the_text_back(tokenizer):
    texts = [ALPHABET, "\n\n 1+1\n", "", *(p.prompt + p.solution for p in arith.problems("val", 60))]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    assert tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True) == texts
    assert batch["attention_mask"].sum(1).tolist() == [len(text) + 1 for text in texts]
    # the padding stands on the left, and every text is one token a character behind <bos>
    assert (
        batch["input_ids"][:, -1] == torch.tensor([tokenizer(text)["input_ids"][-1] for text in texts])
    ).all()
    assert tokenizer(texts[3])["input_ids"] == [BOS, *module.encode(texts[3])]
    assert len(tokenizer) <= VOCABULARY


def test_what_is_not_in_the_alphabet_is_unknown(tokenizer):
    assert tokenizer("A٣")["input_ids"] == [BOS, tokenizer.unk_token_id, tokenizer.unk_token_id]


def test_tokenizer_goes_to_disk_and_back(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "ann has 12, bob 5 more. both?\n12+(12+5)"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert again.decode(again(text)["input_ids"], skip_special_tokens=True) == text
    assert (again.padding_side, again.eos_token_id, again.pad_token_id) == ("left", EOS, 0)


# --- packing ---


def test_packed_rows_give_the_loss_of_each_text_alone(noisy):
    texts = [("1+1\n", "2"), ("3*4+5\n", "12+5\n17"), ("9-4\n", "5"), ("x+2=5\n", "x=5-2\nx=3")]
    packed = module.pack(texts, context=40)
    assert packed["input_ids"].shape == (2, 40)
    total, count = 0.0, 0
    for prompt, solution in texts:
        ids = torch.tensor([[BOS, *module.encode(prompt + solution), EOS]])
        logprobs = noisy(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])
        total -= float(logprobs[len(prompt) :].detach().sum())
        count += len(solution) + 1
    assert int((packed["labels"] >= 0).sum()) == count
    with torch.no_grad():
        assert float(noisy(**packed).loss) == pytest.approx(total / count, rel=1e-4)


def test_batches_follow_step_and_seed_and_hold_training_problems_alone():
    it = module.Arith()
    first, again, other, seeded = (it.batch_for_step(*args) for args in ((3, 0), (3, 0), (4, 0), (3, 1)))
    assert all(torch.equal(first[key], again[key]) for key in first)
    for batch in (other, seeded):
        assert first["input_ids"].shape != batch["input_ids"].shape or not torch.equal(
            first["input_ids"], batch["input_ids"]
        )
    texts = it.tokenizer.batch_decode(first["input_ids"])
    asked = [part.split("\n")[0] for text in texts for part in text.split("<bos>")[1:]]
    assert len(asked) == it.recipe.batch
    assert {arith.split_of(text) for text in asked} == {"train"}


# --- sampling ---


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_greedy_is_generates(noisy, tokenizer, batch):
    mine = sampling.complete(noisy, tokenizer, PROMPTS, temperature=0, max_new_tokens=30, batch=batch)
    inputs = tokenizer(PROMPTS, padding=True, return_tensors="pt")
    theirs = noisy.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        do_sample=False,
        max_new_tokens=30,
    )[:, inputs["input_ids"].shape[1] :]
    assert tokens(mine) == [
        tuple(row[: len(one.tokens)].tolist()) for row, one in zip(theirs, mine, strict=True)
    ]
    assert len(set(tokens(mine))) > 3


def test_the_trained_models_greedy_is_generates(bed):
    asked = [p.prompt for p in bed.data("val", n=12)]
    mine = bed.complete(asked, temperature=0, max_new_tokens=40)
    inputs = bed.tokenizer(asked, padding=True, return_tensors="pt")
    theirs = bed.model.generate(**inputs, do_sample=False, max_new_tokens=40)[
        :, inputs["input_ids"].shape[1] :
    ]
    assert [one.text for one in mine] == bed.tokenizer.batch_decode(theirs, skip_special_tokens=True)


def test_batches_change_nothing_and_seeds_do(noisy, tokenizer):
    drawn = [
        sampling.complete(noisy, tokenizer, PROMPTS, n=5, max_new_tokens=40, seed=3, batch=size)
        for size in (1, 7, 99)
    ]
    assert tokens(drawn[0]) == tokens(drawn[1]) == tokens(drawn[2])
    assert [one.prompt for one in drawn[0]] == [place for place in range(6) for _ in range(5)]
    assert len(set(tokens(drawn[0]))) > 20
    other = sampling.complete(noisy, tokenizer, PROMPTS, n=5, max_new_tokens=40, seed=4)
    assert tokens(other) != tokens(drawn[0])
    fewer = sampling.complete(noisy, tokenizer, PROMPTS[:2], n=5, max_new_tokens=40, seed=3)
    assert tokens(fewer) == tokens(drawn[0])[:10]
    # rows ended at different times, or dropping them was not tried
    assert len({len(row) for row in tokens(drawn[0]) if len(row) < 40}) > 3


def test_logprobs_are_the_models_own(noisy, tokenizer):
    for one in sampling.complete(noisy, tokenizer, PROMPTS, n=2, temperature=0.7, max_new_tokens=20, seed=1):
        prompt = tokenizer(PROMPTS[one.prompt])["input_ids"]
        ids = torch.tensor([[*prompt, *one.tokens]])
        with torch.no_grad():
            logprobs = noisy(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        expected = logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0]
        assert torch.tensor(one.logprobs).allclose(expected, atol=1e-4)
        assert one.finished == (one.tokens[-1] == EOS)
        assert one.finished or len(one.tokens) == 20
        assert one.text == tokenizer.decode(one.tokens, skip_special_tokens=True)


def test_draws_follow_the_distribution(noisy, tokenizer):
    drawn = sampling.complete(
        noisy, tokenizer, ["1+1\n"], n=4000, max_new_tokens=1, temperature=1.5, batch=1000
    )
    with torch.no_grad():
        logits = noisy(**tokenizer(["1+1\n"], return_tensors="pt")).logits[0, -1]
    expected = (logits / 1.5).softmax(-1)
    counts = torch.bincount(torch.tensor([one.tokens[0] for one in drawn]), minlength=VOCABULARY) / 4000
    # five standard errors of the largest share
    assert float((counts - expected).abs().max()) < 5 * math.sqrt(0.25 / 4000)


def test_top_k_and_top_p_keep_what_they_say():
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()
    uniform = torch.linspace(0, 1 - 1e-9, 400, dtype=torch.float64)

    def shares(**filters):
        options = {"top_k": None, "top_p": None, **filters}
        drawn = sampling._pick(logits.expand(400, -1), 1.0, uniform=uniform, **options)
        return (torch.bincount(drawn, minlength=4) / 400).tolist()

    assert shares() == pytest.approx([0.5, 0.25, 0.15, 0.1], abs=0.01)
    assert shares(top_k=2) == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=0.01)
    assert shares(top_k=9) == shares()
    assert shares(top_p=0.7) == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=0.01)
    assert shares(top_p=0.8) == pytest.approx([5 / 9, 2.5 / 9, 1.5 / 9, 0], abs=0.01)
    assert shares(top_p=1e-6) == [1, 0, 0, 0]


def test_a_stop_ends_a_step(bed):
    problem = bed.data("val", n=4)[3]
    (step,) = bed.complete([problem.prompt], temperature=0, stop="\n")
    (whole,) = bed.complete([problem.prompt], temperature=0)
    assert step.text == whole.text[: whole.text.index("\n") + 1]
    assert step.finished and step.text.endswith("\n")


def test_sampling_leaves_the_model_as_it_was(noisy, tokenizer):
    noisy.train()
    sampling.complete(noisy, tokenizer, PROMPTS[:1], max_new_tokens=2)
    assert noisy.training
    noisy.eval()
    assert sampling.complete(noisy, tokenizer, []) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -1}, "temperature must be at least 0; got -1"),
        ({"temperature": float("nan")}, "temperature must be at least 0; got nan"),
        ({"n": 0}, "n must be an integer of at least 1; got 0"),
        ({"batch": 0}, "batch must be"),
        ({"top_k": 0}, "top_k must be"),
        ({"top_p": 0.0}, r"top_p must lie in \(0, 1\]; got 0.0"),
        ({"stop": "12"}, "stop must be one token"),
        ({"stop": "A"}, "stop must be one token"),
        ({"max_new_tokens": 1000}, "max_new_tokens must be at most 65: the model has 96 positions"),
    ],
)
def test_bad_sampling_options(noisy, tokenizer, options, words):
    with pytest.raises(ValueError, match=words):
        sampling.complete(noisy, tokenizer, PROMPTS, **{"max_new_tokens": 5, **options})


def test_one_text_is_no_list_of_prompts(noisy, tokenizer):
    with pytest.raises(ValueError, match="prompts must be a list of texts; got one text, '1"):
        sampling.complete(noisy, tokenizer, "1+1\n")


# --- the testbed ---


def test_shipped_quality_holds_on_a_small_sample(bed):
    found = bed.measure(bed.model, n=120)
    shipped = bed.quality
    # three standard errors of 120 problems at temperature 0, and of 30 with eight draws each
    assert found["accuracy"] == pytest.approx(shipped["accuracy"], abs=0.14)
    assert found["pass@1"] == pytest.approx(shipped["pass@1"], abs=0.25)
    assert found["test_loss"] == pytest.approx(shipped["test_loss"], rel=0.25)
    assert found["pass@8"] > found["pass@1"]
    assert found["step_validity"] == pytest.approx(shipped["step_validity"], abs=0.15)
    levels = [shipped[f"accuracy@{level}"] for level in arith.LEVELS]
    assert levels == sorted(levels, reverse=True)
    assert shipped["monotone"] == pytest.approx(min(a - b for a, b in itertools.pairwise(levels)))
    assert shipped["accuracy"] == pytest.approx(sum(levels) / 6)


def test_training_at_a_reduced_size_lowers_the_loss(tmp_path):
    found = testbeds.train("arith", steps=8, samples=6, out=tmp_path)
    assert found.log[-1]["loss"] < 0.85 * found.log[0]["loss"]
    assert testbeds.load("arith", folder=tmp_path).quality == found.quality


def test_evaluate_of_a_model_that_knows_nothing():
    model = module.Arith().build()
    torch.nn.init.zeros_(model.get_input_embeddings().weight)
    assert module.Arith().evaluate(model, n=12) == pytest.approx(math.log(VOCABULARY), rel=1e-4)


def test_exhibits_show_every_level(bed):
    shown = bed.exhibits()
    assert {one.name for one in shown} == {"levels", *(f"level-{level}" for level in arith.LEVELS)}
    assert len(shown[0].text.splitlines()) == 6
    for one in shown[1:]:
        outcome = one.caption.partition("the answer is ")[2]
        assert outcome.startswith(("right.", "wrong (it is "))
        assert len(one.text.splitlines()) >= 2


def test_rollouts_go_on_from_each_prefix(bed, monkeypatch):
    problem = bed.data("val", n=1, levels=(4,))[0]
    asked = []
    inner = sampling.complete

    def counted(model, tokenizer, prompts, **options):
        asked.extend(prompts)
        return inner(model, tokenizer, prompts, **options)

    monkeypatch.setattr(module, "complete", counted)
    fault = arith.faulty(problem, random.Random(0), kind="off_by_one", recovered=False)
    rows, values = bed.rollouts([(problem, problem.solution), (problem, fault.text)], n=4, seed=2)
    assert [len(row) for row in rows] == [4] * (len(problem.steps) + 1)
    assert (rows[-1], values[-1]) == ([True] * 4, [False] * 4)
    # the steps before the fault are the same ones, and asked for once
    assert values[: fault.first_error + 1] == rows[: fault.first_error + 1]
    right, wrong = (arith.prefixes(problem.text, text)[:-1] for text in (problem.solution, fault.text))
    assert asked == list(dict.fromkeys(right + wrong))
    # from a step after which only the answer is to be written down, a trained model hardly errs
    assert sum(rows[-2]) >= 2
    # the longest completion leaves room for rollouts from its end
    (long,) = bed.rollouts([(problem, "1+" * 31 + "1\n" + "1+" * 31 + "1\n")], n=1, temperature=0)
    assert len(long) == 3
    (unanswered,) = bed.rollouts([(problem, problem.steps[0])], n=2)
    assert [len(row) for row in unanswered] == [2, 2]
