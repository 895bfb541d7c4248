"""`sillok testbed`, as a user calls it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from sillok import testbeds
from sillok.cli import app


@pytest.fixture
def sillok():
    runner = CliRunner()

    def run(*words):
        return runner.invoke(app, ["testbed", *map(str, words)])

    return run


def test_list_names_every_testbed(sillok):
    out = sillok("list").stdout
    for name in (*testbeds.available(), "sim_model"):
        assert f"\n{name} " in "\n" + out
    rows = json.loads(sillok("list", "--json").stdout)
    assert rows == testbeds.catalogue()


def test_train_writes_a_checkpoint_that_check_reads(sillok, tmp_path):
    out = ("--size", "xs", "--out", tmp_path)
    done = sillok("train", "shapes", *out, "--steps", 2, "--samples", 16)
    assert done.exit_code == 0
    assert "step 2/2" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"shapes-xs.safetensors", "shapes-xs.json"}
    found = sillok("check", "shapes", "--size", "xs", "--folder", tmp_path, "--samples", 16)
    assert found.exit_code == 1  # two steps keep no floor
    assert "accuracy is" in found.stdout
    facts = json.loads(sillok("train", "shapes", *out, "--steps", 2, "--samples", 16, "--json").stdout)
    assert facts["steps"] == 2 and "accuracy" in facts["quality"]


def test_check_exits_0_when_the_floors_hold(sillok):
    done = sillok("check", "shapes", "--size", "xs", "--samples", 512)
    assert done.exit_code == 0
    assert "all floors hold" in done.stdout and "must lie in [0.97, 1]" in done.stdout
    found = json.loads(sillok("check", "shapes", "--size", "xs", "--samples", 512, "--json").stdout)
    assert found["ok"] and found["failures"] == [] and found["bounds"]["accuracy"] == [0.97, 1.0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check", "nothing"), "unknown testbed 'nothing'; there are: "),
        (("check", "ddpm", "--size", "xxl"), "size of testbed 'ddpm' must be one of"),
        (("train", "sim_model"), "'sim_model' is an Inspect model and has no weights"),
        (("train", "shapes", "--out", "/proc/nowhere"), "cannot write the checkpoint to /proc/nowhere"),
        (("check", "shapes", "--folder", "/proc/nowhere"), "checkpoint file shapes-s.safetensors is missing"),
    ],
)
def test_errors_are_one_line(sillok, words, message):
    done = sillok(*words)
    assert done.exit_code == 1
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
