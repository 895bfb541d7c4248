"""PRMBench on planted faults: does it tell step-trained from outcome-trained scorers, and a verifier from both?"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from sillok.methods.evals.prm_generate import prm_generate
from sillok.methods.evals.prm_scorers import StepScorer, from_token_classifier
from sillok.methods.evals.prmbench import GROUPS, labels_by, load_records, prm_score
from sillok.trials.evals.prm_models import STEP, tokenizer, train, verify_steps
from sillok.verify import Measure, Paired, Run, Truth, trial

ARMS = ("outcome", "step", "verifier", "all_sound")


def scorer(run: Run) -> StepScorer:
    """What the arm scores steps with; the two classifiers differ in the labels that they are trained by alone."""
    if run.arm == "verifier":
        return verify_steps
    if run.arm == "all_sound":
        return lambda question, steps: [1.0] * len(steps)
    rows = prm_generate(run.pick(smoke=8, here=400), run.subseed("training rows") % 2**31)
    by = "step" if run.arm == "step" else "outcome"
    model = train(run, rows, by, steps=run.pick(smoke=4, here=220))
    return from_token_classifier(model, tokenizer(), STEP)


@trial(
    paper="2501.03124",
    claim="steps",
    arms=ARMS,
    peers=("all_sound",),
    measures={
        "overall": Measure("%", "higher", text="PRMScore of all classes pooled"),
        **{
            group: Measure("%", "higher", text=f"PRMScore, mean of {', '.join(GROUPS[group])}")
            for group in GROUPS
        },
        "f1_neg": Measure("%", "higher", text="F1 of the unsound steps, pooled"),
        "strict": Measure("%", "higher", text="overall, every step counted once and undefined ratios as 0"),
        "above_constant": Measure("points", "higher", text="overall, above calling every step sound"),
    },
    minutes={"smoke": 0.4, "here": 8},
    seeds=3,
    needs=("evals", "testbeds"),
    fault="the labels of a solution's steps are dealt out among them at random, in training",
    memory_gb=3.0,
)
def steps(run: Run) -> dict[str, float]:
    """PRMScore of scorers of known kind on worked sums with faults of the nine classes."""
    found = prm_generate(run.pick(smoke=4, here=150), run.subseed("test rows") % 2**31)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in found), encoding="utf-8")
        records = load_records(path)
    labels = labels_by(scorer(run), records)
    result = prm_score(records, labels)
    constant = prm_score(records, labels_by(lambda question, steps: [1.0] * len(steps), records))
    by_class = {
        name: round(value, 1) for name, value in result.figures.items() if name.startswith("class/") and value
    }
    run.note(f"by class: {by_class}")
    strict = prm_score(records, labels, mode="strict")
    kept = {name: float(result.figures[name] or 0.0) for name in ("overall", *GROUPS, "f1_neg")}
    return kept | {
        "strict": float(strict.figures["overall"] or 0.0),
        "above_constant": kept["overall"] - float(constant.figures["overall"] or 0.0),
    }


@steps.upheld_if
def _(paired: Paired) -> Truth:
    outcome, ours = paired.values("overall", "outcome"), paired.values("overall", "step")
    exact, skill = paired.values("soundness", "verifier"), paired.values("above_constant", "step")
    return (
        paired.every("the exact verifier's soundness >= 95", lambda i: exact[i] >= 95)
        & paired.every("step-trained >= outcome-trained + 5, overall", lambda i: ours[i] >= outcome[i] + 5)
        # or else a scorer that finds nothing could pass, since calling every step sound scores some 45
        & paired.every("step-trained >= calling every step sound + 5", lambda i: skill[i] >= 5)
    )
