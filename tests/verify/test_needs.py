"""What a trial needs, told without importing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sillok import papers
from sillok.verify import needs
from sillok.verify.worker import load_trial

TRIALS = sorted({trial for card in papers.catalogue().values() for trial in card.trials})


def test_needs_are_read_in_the_source_and_nothing_is_imported() -> None:
    code = (
        "import sys; from sillok.verify import needs; "
        "print(needs.declared('sillok.trials.attention.sage_speed.speed'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('attention', 'gpu', 'module:triton') False"


@pytest.mark.parametrize("trial", TRIALS)
def test_they_are_what_the_trial_declares(trial: str) -> None:
    assert needs.declared(trial) is not None
    assert set(needs.declared(trial) or ()) == set(load_trial(trial).needs["here"])


def test_what_cannot_be_told_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "odd_trials.py").write_text(
        "NEEDS = ('gpu',)\n"
        "@trial(needs=NEEDS)\ndef named(run): ...\n"
        "@trial(needs={'smoke': (), 'here': ('gpu',)})\ndef scaled(run): ...\n"
        "@trial(seeds=3)\ndef silent(run): ...\n"
        "@other\ndef plain(run): ...\n"
    )
    (tmp_path / "broken_trials.py").write_text("def (")
    assert needs.declared("odd_trials.scaled") == ("gpu",)
    for name in ("odd_trials.named", "odd_trials.silent", "odd_trials.plain", "odd_trials.none"):
        assert needs.declared(name) is None
    for name in ("broken_trials.x", "no.such.module.x", "", "x"):
        assert needs.declared(name) is None
