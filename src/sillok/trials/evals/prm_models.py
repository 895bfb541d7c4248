"""Step scorers for PRMBench's trial: an exact verifier of the generated sums, and small token classifiers.

Both read what `prm_generate` writes; the classifiers are trained on sums of other seeds, by labels of steps or by the
final answer alone, and are called through `from_token_classifier`, as published process reward models are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForTokenClassification, PreTrainedTokenizerFast

from sillok.verify import Run

STEP = "<step>"
_WORDS = (
    "<pad>", STEP, *"0123456789", *"+-*=,.?()", "start", "with", "dimes", "add", "subtract", "double", "it",
    "a", "dime", "has", "cents", "how", "many", "some", "not", "clearly",
)  # fmt: skip
_SUM = re.compile(r"(?:clearly )?(\d+) ([-+*]) (\d+) = (\d+)")
_LAST = re.compile(r"(\d+) dimes \* (\d+) = (\d+) cents")
_OPERATION = re.compile(r"(add|subtract) (\d+|some)|(double) it")


def verify_steps(question: str, steps: Sequence[str]) -> list[float]:
    """1 for each step that follows from the question and the steps before, is right, and is needed; else 0.

    After an unsound step what it says is taken as given.
    """
    head, _, rule = question.partition(" . ")
    value = int(re.findall(r"\d+", head)[0])
    per = int(re.findall(r"\d+", rule)[0])
    asked = [("double", "2") if m[3] else (m[1], m[2]) for m in _OPERATION.finditer(head)]
    wanted = [({"add": "+", "subtract": "-", "double": "*"}[name], operand) for name, operand in asked]
    read = [_SUM.fullmatch(step) for step in steps]
    scores, at = [1.0] * len(steps), 0
    while at < len(steps):
        match = read[at]
        if match is None:
            last = _LAST.fullmatch(steps[at])
            right = last is not None and int(last[1]) == value and int(last[2]) == per
            scores[at] = float(right and last is not None and int(last[3]) == value * per)
            at += 1
            continue
        found, following = (match[2], match[3]), read[at + 1] if at + 1 < len(steps) else None
        true = int(match[1]) == value and _right(match)
        if at and steps[at] == steps[at - 1] and wanted[:1] != [found]:
            scores[at] = 0.0  # said already
        elif wanted and wanted[0] == found:
            wanted.pop(0)
            scores[at] = float(true)
        elif wanted and following is not None and _halves(match, following, wanted[0]):
            wanted.pop(0)
            scores[at : at + 2] = [float(true), float(following[1] == match[4] and _right(following))]
            at += 1
        elif following is not None and _undone(match, following):
            scores[at : at + 2] = [0.0, 0.0]
            at += 1
        else:
            scores[at] = 0.0
            wanted = wanted[1:]
        value = int((read[at] or match)[4])
        at += 1
    return scores


def _right(match: re.Match[str]) -> bool:
    a, b = int(match[1]), int(match[3])
    return int(match[4]) == (a + b if match[2] == "+" else a - b if match[2] == "-" else a * b)


def _halves(one: re.Match[str], other: re.Match[str], wanted: tuple[str, str]) -> bool:
    same = one[2] == other[2] == wanted[0] != "*" and wanted[1].isdigit()
    return same and int(one[3]) + int(other[3]) == int(wanted[1])


def _undone(one: re.Match[str], other: re.Match[str]) -> bool:
    return {one[2], other[2]} == {"+", "-"} and one[3] == other[3] and other[4] == one[1]


def tokenizer() -> Any:
    """A `PreTrainedTokenizerFast` of words, signs and single digits; ``<step>`` ends a step."""
    words = Tokenizer(models.WordLevel({word: at for at, word in enumerate(_WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True)]
    )
    made = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>")
    made.add_special_tokens({"additional_special_tokens": [STEP]})
    return made


def classifier(seed: int) -> Any:
    """A `LlamaForTokenClassification` of two classes and some 0.2 M parameters, with fresh weights."""
    config = LlamaConfig(
        vocab_size=len(_WORDS),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=256,
        num_labels=2,
        classifier_dropout=0.0,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForTokenClassification(config)


def labels_for(
    row: dict[str, Any], by: Literal["outcome", "step"], shuffled: torch.Generator | None = None
) -> list[int]:
    """Labels of a row's steps: of each by itself, or of all by whether the final answer is that of the original.

    `shuffled` deals the labels out among the steps at random: the planted fault.
    """
    steps = row["modified_process"]
    if by == "outcome":
        return [int(steps[-1].split("= ")[1] == row["original_process"][-1].split("= ")[1])] * len(steps)
    labels = [int(at + 1 not in row["error_steps"]) for at in range(len(steps))]
    if shuffled is None:
        return labels
    return [labels[i] for i in torch.randperm(len(labels), generator=shuffled)]


def train(
    run: Run, rows: list[dict[str, Any]], by: Literal["outcome", "step"], *, steps: int, batch: int = 32
) -> Any:
    """Train a classifier on rows: cross-entropy of the classes at the step tokens, AdamW, a cosine.

    Weights, rows and their order are the same for both kinds of labels.
    """
    model, words = classifier(run.subseed("weights") % 2**31), tokenizer()
    order = run.generator("order")
    faults = run.generator("fault") if run.fault else None
    texts = [
        row["modified_question"] + "\n" + "".join(s + STEP for s in row["modified_process"]) for row in rows
    ]
    tokens = [torch.tensor(words.encode(text, add_special_tokens=False)) for text in texts]
    labels = [torch.tensor(labels_for(row, by, faults)) for row in rows]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    losses: list[float] = []
    model.train()
    for step in range(steps):
        chosen = torch.randint(len(rows), (batch,), generator=order).tolist()
        padded = torch.nn.utils.rnn.pad_sequence([tokens[i] for i in chosen], batch_first=True)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(padded, attention_mask=(padded != 0).long()).logits
        loss = cross_entropy(logits[padded == 1].float(), torch.cat([labels[i] for i in chosen]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        run.progress(step, steps)
    window = max(1, steps // 40)
    means = [sum(losses[i : i + window]) / len(losses[i : i + window]) for i in range(0, steps, window)]
    run.curve("training loss", [i * window for i in range(len(means))], means, x_label="step", y_label="nats")
    return model.eval()
