"""Process reward models as functions: a question and its steps in, one score a step out (for PRMBench, 2501.03124)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: question, steps -> one score a step.
StepScorer = Callable[[str, list[str]], list[float]]


def from_token_classifier(
    model: Any,
    tokenizer: Any,
    step_token: str,
    *,
    system: str | None = "Please reason step by step, and put your final answer within \\boxed{}.",
    positive: int = 1,
) -> StepScorer:
    """A step scorer from a Transformers model that classifies the token after each step.

    Question and steps go through the tokenizer's chat template where it has one, each step followed by `step_token`;
    the score of a step is the probability of the class `positive` at that token, as Qwen2.5-Math-PRM has it and as
    TRL's former ``PRMTrainer`` trained it.

    Args:
        model: returns logits (1, L, C) for token ids (1, L).
        tokenizer: of the model.
        step_token: one token of its vocabulary, such as "<extra_0>".
        system: the system message of the chat template; None for none.
        positive: the class of a sound step.

    Raises:
        ValueError: a step token that is not one token. When called: no steps, or a step that holds the token.
    """
    ids = tokenizer.encode(step_token, add_special_tokens=False)
    if len(ids) != 1:
        raise ValueError(f"step_token must be one token of the tokenizer; {step_token!r} is {len(ids)}")
    mark = ids[0]

    def score(question: str, steps: list[str]) -> list[float]:
        import torch

        if not steps or any(step_token in step for step in steps):
            raise ValueError(f"steps must hold at least one, and none may hold {step_token!r}")
        text = "".join(step + step_token for step in steps)
        if getattr(tokenizer, "chat_template", None):
            messages = [{"role": "system", "content": system}] if system is not None else []
            messages += [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
            whole = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
        else:
            whole = f"{question.replace(step_token, '')}\n{text}"
        tokens = torch.tensor([tokenizer.encode(whole, add_special_tokens=False)], device=model.device)
        with torch.no_grad():
            found = model(tokens)
            logits = found.logits if hasattr(found, "logits") else found[0]
        chances = logits[0].float().softmax(-1)[tokens[0] == mark, positive]
        return [float(chance) for chance in chances[-len(steps) :]]

    return score


def from_pretrained(name: str, step_token: str = "<extra_0>", *, device: str | None = None) -> StepScorer:
    """A step scorer from published weights, such as "Qwen/Qwen2.5-Math-PRM-7B".

    Args:
        name: of a token classifier on the hub, or its folder. Models that bring code of their own are not run.
        step_token: at which it is read.
        device: a torch device; a GPU by default where there is one.

    Raises:
        ValueError: no such model; the message is one line.
        ImportError: Transformers is not installed; the message says how to install it.
    """
    try:
        import torch
        from transformers import AutoModelForTokenClassification, AutoTokenizer
    except ImportError:
        raise ImportError(
            "process reward models need Transformers: pip install 'sillok[evals]' torch"
        ) from None
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForTokenClassification.from_pretrained(name, dtype=dtype).to(device).eval()
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise ValueError(f"{name!r} cannot be loaded as a token classifier ({line[:200]})") from None
    return from_token_classifier(model, tokenizer, step_token)
