"""Runs L-CiteEval's ``script/eval_citation.py`` and ``eval_correct.py`` on cases of replies.

Started by `sillok.methods.evals.parity` with the checkout as its argument; cases come in and scores go out as JSON.
Functions are taken out of the authors' files, and the parts of their ``main`` that score one reply are run from their
own source; the entailment model and the sentence splitter are replaced by those of the case.
"""

import ast
import json
import pathlib
import sys
import textwrap
import types
import zlib

import numpy as np
from rouge import Rouge

folder = pathlib.Path(sys.argv[1], "script")


def module_of(name: str) -> tuple[dict, ast.Module, str]:
    """The functions of one of the authors' files, its syntax tree and its source."""
    source = (folder / name).read_text(encoding="utf-8")
    tree = ast.parse(source)
    functions = ast.Module([node for node in tree.body if isinstance(node, ast.FunctionDef)], [])
    import copy
    import re
    import string
    from collections import Counter

    found: dict = {"re": re, "string": string, "Counter": Counter, "np": np, "copy": copy, "json": json}
    found |= {
        "tqdm": lambda rows, **_: rows,
        "args": types.SimpleNamespace(file="x"),
        "rouge": Rouge(),
        "Rouge": Rouge,
    }
    exec(compile(functions, name, "exec"), found)
    return found, tree, source


citing, _, _ = module_of("eval_citation.py")
correct, tree, source = module_of("eval_correct.py")
citing["_run_nli_autoais"] = lambda premise, claim: int(zlib.crc32(f"{premise}\0{claim}".encode()) % 100 < 60)


def scoring_of(first_task: str) -> str:
    """The authors' branch of ``main`` for a task, from its `if` to the next one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and f"'{first_task}'" in (
            ast.get_source_segment(source, node.test) or ""
        ):
            body = ast.Module(node.body, [])
            return ast.unparse(body)
    raise LookupError(first_task)


def correctness(case: dict, task: str) -> dict:
    """What the authors' branch for `task` makes of one reply, as if it were the whole data set, unrounded."""
    item = {"generation": [case["reply"]], "answer": case["record"]["answer"], "docs": case["record"]["docs"]}
    scope = correct | {
        "len_samples": {8000: [item]},
        "samples": [item],
        "res": {},
        "round": lambda value, _: value,
    }
    exec(compile(textwrap.dedent(scoring_of(task)), task, "exec"), scope)
    return scope["res"]


scores = []
for case in json.load(sys.stdin):
    record, reply = case["record"], case["reply"]
    item = {"generation": [reply], "answer": record["answer"], "docs": record["docs"]}
    citing["sent_tokenize"] = lambda text, case=case: case["sentences"]
    if record["task"] == "niah":
        found = citing["compute_niah_citation"]([item], 3)
    elif record["task"] == "counting_stars":
        found = citing["compute_counting_stars_citation"]([item])
    else:
        found = citing["compute_autoais"]([item], 3)
    made = {}
    if found[0]:
        names = ("cr", "cp", "citation_f1", "cites")
        made = {name: float(values[0]) for name, values in zip(names, found, strict=True)}
    try:
        if record["task"] == "niah":
            made["rouge-1"] = correctness(case, "niah")["rouge-1"]["all"] / 100
        elif record["task"] == "counting_stars":
            made["acc"] = correctness(case, "counting_stars")["acc"]["all"] / 100
        else:
            result = correctness(case, "narrativeqa")
            made |= {name: result[name]["all"] / 100 for name in ("precision", "recall", "f1")}
            made["rouge-l"] = correctness(case, "qmsum")["rouge-l"]["all"] / 100
    except (TypeError, KeyError) as error:  # their script ends here, and so has no figure
        made["error"] = type(error).__name__
    scores.append(made)
print(json.dumps(scores))
