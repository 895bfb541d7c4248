"""The Inspect provider ``sillok``, and `simulated_model`, which makes one in Python."""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    StopReason,
    TopLogprob,
    get_model,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from sillok.testbeds.sim_model.kinds import Kinds, Reply, generator
from sillok.testbeds.sim_model.settings import Options, Settings

_WORD = re.compile(r"\s*\S+")


class SimulatedAPI(ModelAPI):
    """The provider behind `simulated_model`; its arguments are described there.

    Raises:
        ValueError: an unknown argument, or one out of its range.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (the host's signature)
        **arguments: Any,
    ):
        super().__init__(model_name, base_url, api_key, [], config)
        self.settings = Settings.of(arguments)
        self._kinds = Kinds(self.settings)
        self._seen: Counter[bytes] = Counter()

    def max_connections(self) -> int:
        return 1000

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Reply to the messages; what they ask for is told by what they show."""
        prompt = "\n".join(f"{message.role}: {message.text}" for message in input)
        # no await stands between reading the count of this prompt and raising it
        choices = [self._choice(reply, config) for reply in self.replies(prompt, config)]
        # Stated here in words, since Inspect would otherwise fetch a tokenizer to estimate it.
        read = len(prompt.split())
        written = sum(len(choice.message.text.split()) for choice in choices)
        usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
        return ModelOutput(model=self.model_name, choices=choices, usage=usage)

    def replies(self, prompt: str, config: GenerateConfig) -> list[Reply]:
        """The next replies to a prompt, as many as `config.num_choices`.

        With `config.seed` they follow from that too, and are the same each time it is given.
        """
        key = hashlib.sha256(prompt.encode()).digest()
        count = config.num_choices or 1
        if config.seed is None:
            first = self._seen[key]
            self._seen[key] += count
            indices: list[int | str] = [first + i for i in range(count)]
        else:
            indices = [f"{config.seed}:{i}" for i in range(count)]
        return [
            self._kinds.reply(prompt, functools.partial(self._generator, key, index)) for index in indices
        ]

    def _generator(self, key: bytes, index: int | str, name: str) -> np.random.Generator:
        return generator(self.settings.seed, f"{index}/{name}" if name else index, key)

    def _choice(self, reply: Reply, config: GenerateConfig) -> ChatCompletionChoice:
        text, stop = _cut(reply.text, config)
        reason: StopReason = "content_filter" if reply.refused and stop == "stop" else stop
        message = ChatMessageAssistant(content=text, model=self.model_name, source="generate")
        logprobs = (
            Logprobs(content=_logprobs(reply, len(text), config.top_logprobs)) if config.logprobs else None
        )
        return ChatCompletionChoice(message=message, stop_reason=reason, logprobs=logprobs)


def _cut(text: str, config: GenerateConfig) -> tuple[str, StopReason]:
    """The text up to a stop sequence, and of that the first `max_tokens` words."""
    ends = [text.find(stop) for stop in config.stop_seqs or () if stop in text]
    text = text[: min(ends)] if ends else text
    words = list(_WORD.finditer(text))
    if config.max_tokens is not None and len(words) > config.max_tokens:
        return text[: words[config.max_tokens - 1].end()] if config.max_tokens > 0 else "", "max_tokens"
    return text, "stop"


def _logprobs(reply: Reply, length: int, top: int | None) -> list[Logprob]:
    """One row for each token within `length` characters: the answer is one, and the words around it are others.

    Words around the answer are form and not choice, and have log-probability 0.
    """
    rows: list[Logprob] = []
    end = len(reply.before) + len(reply.answer)
    for match in re.finditer(r"\S+\s*|\s+", reply.before):
        if token := reply.before[match.start() : min(match.end(), length)]:
            rows.append(Logprob(token=token, logprob=0.0, top_logprobs=_certain(token, top)))
    if end <= length:
        ranked = sorted(
            (item for item in reply.chances.items() if item[1] > 0), key=lambda item: (-item[1], item[0])
        )
        tops = [TopLogprob(token=token, logprob=math.log(p)) for token, p in ranked[:top]] if top else None
        rows.append(
            Logprob(token=reply.answer, logprob=math.log(reply.chances[reply.answer]), top_logprobs=tops)
        )
    if reply.after and end + len(reply.after) <= length:
        rows.append(Logprob(token=reply.after, logprob=0.0, top_logprobs=_certain(reply.after, top)))
    return rows


def _certain(token: str, top: int | None) -> list[TopLogprob] | None:
    return [TopLogprob(token=token, logprob=0.0)] if top else None


@modelapi(name="sillok")
def sillok() -> type[ModelAPI]:
    """The Inspect provider ``sillok``; its one model is ``sillok/simulated``."""
    return SimulatedAPI


def simulated_model(
    p_gen: float | Mapping[str, float], p_comp: float | Mapping[str, float], **options: Unpack[Options]
) -> Model:
    """An Inspect model that answers and judges with stated error rates.

    What a prompt shows decides what it asks for. Two solutions in ``<solution_1>`` and ``<solution_2>`` tags are
    a comparison: the reply ends in ``VERDICT: 1``, ``2`` or ``tie``. Where `sensitivity` or `scale` is given, one
    solution in ``<answer>`` tags is judged: by Yes or No where the prompt says "yes or no", else by a score.
    Where `p_choice` is given, options with letters are a multiple choice: ``ANSWER: B``. Any other prompt is a
    question: the reply ends in ``ANSWER: ...``.

    Args:
        p_gen: probability of a right answer; a mapping gives it by question (a text that the prompt contains).
        p_comp: probability that right is preferred to wrong; a mapping gives it by question. Two right or
            two wrong solutions are a fair coin.
        right: the right answer, or a mapping from questions to right answers ("right").
        wrong_answers: answers when it errs, equally likely, or a mapping from answers to weights (["wrong"]).
        position_bias: added to the probability that the first of two shown is preferred (clipped to [0, 1]).
        length_bias: added likewise where the first of two shown is the longer text, and taken off where it is
            the shorter.
        tie: share of verdicts that are a tie; unparsable: share of judgements of any kind that hold none.
        preferences: ``{"a": {"b": 0.8}}``: answer a is preferred to b with 0.8, whatever is right. It need not
            be transitive, and goes before `p_comp`.
        dependence: probability that a comparison repeats the fixed outcome of its pair of solutions instead
            of drawing a new one. Rates stay as stated; comparisons of one pair are then correlated by its square.
        seed: every draw follows from the seed, the prompt and how often this model has seen that very prompt.
        pair_tags: the two tags of a comparison, in place of those above; judged_tag: the tag of one solution.
        verdicts: the whole replies that say first, second, tie, in place of those above: ["[[A>B]]", ...].
        scale: lowest and highest score, such as (1, 10); None for no scores.
        quality: true scores by answer (its ``ANSWER:`` line, or a text that the solution contains); by default
            three quarters up the scale for the right answer, and one quarter for others.
        score_bias, score_noise: added to the true score: a constant, and a normal number of that standard
            deviation (1.0). The sum is rounded, and clipped to the scale.
        score_form: "tag" (``<score>7</score>``), "json" (``{"score": 7}``) or "line" (``SCORE: 7``).
        sensitivity, specificity: P(Yes | the judged solution is right) and P(No | it is not).
        truth: by question, whether Yes is right; for questions without a solution in tags, and goes before it.
        p_choice: probability of the right option (by its letter, or by its text), the others being equally
            likely; a mapping gives it by question.
        preferred, preference: with probability `preference` a choice is the letter `preferred`, whatever is
            right: the right letter is then chosen at (1 - preference) p_choice, plus preference if it is that one.
        correlation: of two calls about one question (the key of `right` in the prompt, or else the prompt): every
            question has a difficulty of its own, around the stated rate. Of scores: of their noise.
        difficulty_seed: of these difficulties; models that share it find the same questions hard (seed).
        refusal: share of replies that refuse, with the stop reason "content_filter".

    Of Inspect's own settings, `num_choices`, `stop_seqs`, `max_tokens` (in words), `logprobs` with `top_logprobs`
    (the answer, score, letter or verdict is one token, with its stated probability) and `seed` are heeded: with a
    `seed` there, one prompt has the same reply each time.

    Identical prompts give fresh independent draws, the same sequence for the same seed. Since each prompt
    counts for itself, replies do not depend on the order in which different prompts arrive; concurrent
    identical prompts share out one fixed sequence in the order in which they start.

    On a command line: ``inspect eval task.py --model sillok/simulated -M p_gen=0.7 -M seed=3``; a mapping is
    written ``-M 'right={2+2: 4, 3+3: 6}'``.

    Raises:
        ValueError: an unknown argument, a rate outside [0, 1], no wrong answer, or arguments that contradict
            each other. When it replies: a mapping that names no question of the prompt.
    """
    # not memoised: a second model of the same seed starts its sequence anew
    return get_model("sillok/simulated", memoize=False, p_gen=p_gen, p_comp=p_comp, **options)
