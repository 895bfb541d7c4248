"""VisOnlyQA's scoring on simulated models of planted accuracy: is it their sight that is scored, or their style?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from sillok.methods.evals.geometry import TASKS, geometry_generate
from sillok.methods.evals.visonlyqa import visonlyqa_score
from sillok.verify import Measure, Paired, Run, Truth, trial

#: Planted accuracies of the simulated models, from little more than guessing to what people reach.
STRENGTHS = (0.36, 0.44, 0.54, 0.75, 0.95)
#: How a model wraps its answer; "{other}" is an option that it names and rejects.
STYLES = {
    "bare": "{answer}",
    "bracket": "({answer})",
    "sentence": "The final answer is ({answer}).",
    "rejects": "At first ({other}) seems to fit the figure, but it is ({answer}).",
    "wordy": "Looking at all of the lines and their relation to each other, I settle on {answer}.",
}
EXTRACTOR_ERROR = 0.01  # share of replies that the simulated extractor misreads


def replies(
    records: Sequence[Mapping[str, Any]], strength: float, style: str, rng: np.random.Generator
) -> tuple[dict[str, str], dict[str, str]]:
    """Replies of a model of that accuracy in that style, and the answers that it means, by record."""
    texts, meant = {}, {}
    for record in records:
        options = list(record["response_options"])
        wrong = [option for option in options if option != record["answer"]]
        answer = record["answer"] if rng.random() < strength else str(rng.choice(wrong))
        other = str(rng.choice([option for option in options if option != answer]))
        texts[record["id"]] = STYLES[style].format(answer=answer, other=other)
        meant[record["id"]] = answer
    return texts, meant


def first_option(reply: str, options: Sequence[str]) -> str:
    """The option that stands first in a reply, as a quick script would take it."""
    found = [(reply.find(option), option) for option in options if option in reply]
    return min(found)[1] if found else ""


def accuracy(
    run: Run,
    records: list[dict[str, Any]],
    texts: dict[str, str],
    meant: dict[str, str],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Percent right by the arm's scoring, and the share of replies that went to the extractor."""
    if run.fault:  # the options are taken for the ones after them
        shift = {
            r["id"]: dict(
                zip(
                    r["response_options"], [*r["response_options"][1:], r["response_options"][0]], strict=True
                )
            )
            for r in records
        }
        texts = {id: text.replace(meant[id], shift[id][meant[id]]) for id, text in texts.items()}
        meant = {id: shift[id][answer] for id, answer in meant.items()}
    if run.arm == "first_option":
        right = [first_option(texts[r["id"]], r["response_options"]) == r["answer"] for r in records]
        return 100 * float(np.mean(right)), 0.0

    def extractor(reply: str, record: Mapping[str, Any]) -> str:
        if rng.random() < EXTRACTOR_ERROR:
            return str(rng.choice([o for o in record["response_options"] if o != meant[record["id"]]]))
        return meant[record["id"]]

    mode = "strict" if run.arm == "strict" else "published"
    result = visonlyqa_score(records, texts, extractor, version="synthetic", mode=mode)
    return float(result.figures["all"] or 0.0), float(result.figures["n_extracted"] or 0.0) / len(records)


@trial(
    paper="2412.00947",
    claim="scoring",
    arms=("first_option", "published", "strict"),
    peers=("strict",),
    measures={
        "style_gap": Measure(
            "points", "lower", text="accuracy by style of reply: the best less the worst, mean of models"
        ),
        "error": Measure("points", "lower", text="root mean square distance from the planted accuracies"),
        "rank": Measure(
            "", "higher", text="Spearman's correlation with the planted accuracies, the styles mixed"
        ),
        "lowest": Measure("%", text="accuracy of the weakest model, planted at 36 %, mean of styles"),
        "people": Measure("%", text="accuracy of the strongest, planted at 95 %, mean of styles"),
        "extracted": Measure("share", "lower", text="replies that the rules do not decide"),
    },
    minutes={"smoke": 0.4, "here": 3},
    seeds={"smoke": 3, "here": 5},
    needs=("evals",),
    fault="an option is taken for the one after it",
    memory_gb=2.0,
)
def scoring(run: Run) -> dict[str, float]:
    """Accuracy of simulated models by planted strength and style of reply, on questions about generated figures."""
    n = run.pick(smoke=15, here=100)
    records = [
        r for task in TASKS for r in geometry_generate(n, run.subseed("figures") % 2**31, task, pixels=16)
    ]
    found: NDArray[np.float64] = np.zeros((len(STRENGTHS), len(STYLES)))
    extracted = []
    for i, strength in enumerate(STRENGTHS):
        for j, style in enumerate(STYLES):
            rng = run.rng(f"{strength}/{style}")
            texts, meant = replies(records, strength, style, rng)
            found[i, j], share = accuracy(run, records, texts, meant, rng)
            extracted.append(share)
        run.progress(i, len(STRENGTHS))
    planted = 100 * np.array(STRENGTHS)
    for j, style in enumerate(STYLES):
        run.curve(
            "accuracy by style", planted, found[:, j], x_label="planted, %", y_label="scored, %", series=style
        )
    # each model in a style of its own, the strong ones in those that are hardest to read
    mixed = np.array([found[i, i] for i in range(len(STRENGTHS))])
    return {
        "style_gap": float((found.max(1) - found.min(1)).mean()),
        "error": float(np.sqrt(((found - planted[:, None]) ** 2).mean())),
        "rank": float(spearmanr(mixed, planted).statistic),
        "lowest": float(found[0].mean()),
        "people": float(found[-1].mean()),
        "extracted": float(np.mean(extracted)),
    }


@scoring.upheld_if
def _(paired: Paired) -> Truth:
    rank = paired.values("rank")
    return (
        paired.mean("style_gap").at_most(
            6
        )  # of five draws of 700 answers, chance alone spreads some 4 points
        & paired.difference("style_gap").at_most(-20)
        & paired.mean("error").at_most(3)
        & paired.every("models are ranked by their planted accuracy", lambda i: rank[i] >= 0.999)
    )


@scoring.pictured(
    "figures", "Generated figures of the seven tasks, in the plain style above and the other one below."
)
def _() -> NDArray[np.uint8]:
    rows = [
        [
            np.asarray(geometry_generate(1, 2, task, style=style, pixels=160)[0]["decoded_image"])
            for task in TASKS
        ]
        for style in ("plain", "other")
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
