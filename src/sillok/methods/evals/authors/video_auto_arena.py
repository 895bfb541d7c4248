"""Runs VideoAutoArena's ``src/get_score.py`` on cases of battles.

Started by `sillok.methods.evals.parity` with the checkout as its argument; cases come in and scores go out as JSON.
"""

import contextlib
import io
import json
import sys

import pandas as pd

sys.path.insert(0, f"{sys.argv[1]}/src")
import get_score


def reindexed(frame: pd.DataFrame, *args: object, **kwargs: object) -> pd.DataFrame:
    """pandas takes a set as new labels no longer: give it a list of the same."""
    labels = {key: sorted(value) if isinstance(value, set) else value for key, value in kwargs.items()}
    return original(frame, *args, **labels)


original = pd.DataFrame.reindex
pd.DataFrame.reindex = reindexed

scores = []
for case in json.load(sys.stdin):
    found: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        results = [get_score.get_result(record) for record in case]
        for index, result in enumerate(results):
            found[f"winner/{index}"] = (
                {"model_a": "A", "model_b": "B", "tie": "tie"}[result["win"]] if result else None
            )
        battles = pd.DataFrame([result for result in results if result])
        try:
            rates = get_score.compute_pairwise_win_fraction(battles).mean(axis=1)
            found |= {f"win_rate/{name}": float(rate) for name, rate in rates.items() if rate == rate}
            found |= {f"elo/{name}": float(rating) for name, rating in get_score.compute_bt(battles).items()}
        except Exception as error:  # whatever their code does with few battles is one of its results
            found["error"] = type(error).__name__
    scores.append(found)
print(json.dumps(scores))
