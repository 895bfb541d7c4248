"""Runs `evaluate_function` of PRMBench's ``mr_eval/tasks/prmtest_classified/task.py`` on cases of labels.

Started by `sillok.methods.evals.parity` with the checkout as its argument; cases come in and scores go out as JSON.
Only the two functions are taken out of the authors' file, so that nothing else of their toolkit need be installed.
"""

import ast
import json
import logging
import pathlib
import sys

source = pathlib.Path(sys.argv[1], "mr_eval/tasks/prmtest_classified/task.py").read_text(encoding="utf-8")
wanted = {"evaluate_function", "eval_on_hallucination_step"}
tree = ast.parse(source)
tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
theirs: dict = {"logger": logging.getLogger("prmbench")}
exec(compile(tree, "task.py", "exec"), theirs)

scores = []
for case in json.load(sys.stdin):
    found = theirs["evaluate_function"](case["results"], case["records"])
    total, by_class = found["total_hallucination_results"], found["hallucination_type_results"]
    made = {
        "overall": max(0.0, (total["f1"] + total["negative_f1"]) / 2),
        "f1": total["f1"],
        "f1_neg": total["negative_f1"],
        "validity_rate": found["validitiy_rate"],
    }
    for name, f1 in by_class["f1"].items():
        if name != "correct":
            score = f1 if name == "multi_solutions" else (f1 + by_class["negative_f1"][name]) / 2
            made[f"class/{name}"] = max(0.0, score)
    scores.append(made)
print(json.dumps(scores))
