"""The contract of the testbeds: registry, errors, checkpoints that are refused, the command line."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
import subprocess
import sys

import pytest

from sillok import testbeds
from sillok.testbeds.base import CHECKPOINTS, Check

EVERY = [(name, size) for name, sizes in testbeds.available().items() for size in sizes]


def test_import_loads_no_framework():
    code = (
        "import sys, sillok.testbeds as t; t.available();"
        "print(sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers', 'numpy', 'safetensors'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_shapes_renderer_needs_no_torch():
    code = (
        "import sys; from sillok.testbeds import shapes;"
        "shapes.render(shapes.sample_scenes(2)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", testbeds.available())
def test_registry_agrees_with_the_classes(name):
    module, attribute, sizes = testbeds._REGISTRY[name]
    cls = getattr(importlib.import_module(module), attribute)
    assert cls.name == name
    assert set(sizes) <= set(cls.recipes)


def test_what_is_shipped_is_what_is_registered():
    assert {path.stem for path in CHECKPOINTS.glob("*.safetensors")} == {f"{n}-{s}" for n, s in EVERY}
    assert {path.stem for path in CHECKPOINTS.glob("*.json")} == {f"{n}-{s}" for n, s in EVERY}


@pytest.mark.parametrize(("name", "size"), EVERY)
def test_every_testbed_loads_with_all_its_parts(name, size):
    bed = testbeds.load(name, size)
    assert (bed.name, bed.size) == (name, size)
    assert not bed.model.training
    assert all(p.dtype.itemsize == 4 and not p.requires_grad for p in bed.whole.parameters())
    assert bed.log[-1]["loss"] < bed.log[0]["loss"]
    assert bed.facts["parameters"] == sum(p.numel() for p in bed.whole.parameters())
    assert Check(bed.quality, bed.quality, bed.bounds()).failures == []
    assert f"{name}-{size}" in bed.describe()
    with pytest.raises(dataclasses.FrozenInstanceError):
        bed.recipe.steps = 1
    assert 1_000 < (CHECKPOINTS / f"{name}-{size}.safetensors").stat().st_size < 3_000_000


def test_all_checkpoints_together_stay_small():
    assert sum(path.stat().st_size for path in CHECKPOINTS.iterdir()) < 25_000_000


def test_recipe_hash_tells_every_field_apart():
    recipe = testbeds.load("shapes", "xs").recipe
    assert recipe.hash == dataclasses.replace(recipe).hash
    assert len(
        {recipe.hash, *(dataclasses.replace(recipe, **{f.name: 7}).hash for f in dataclasses.fields(recipe))}
    ) == (1 + len(dataclasses.fields(recipe)))


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("shape", "s", ["unknown testbed 'shape'", ", ".join(sorted(testbeds._REGISTRY))]),
        ("ddpm", "xxl", ["'xxl'", "xs, s"]),
    ],
)
@pytest.mark.parametrize("function", [testbeds.load, testbeds.train, testbeds.check])
def test_unknown_names_say_what_exists(function, name, size, words):
    with pytest.raises(ValueError) as caught:
        function(name, size)
    assert all(word in str(caught.value) for word in words)


def test_a_size_without_shipped_weights_says_how_to_make_them():
    with pytest.raises(ValueError, match=r"'s' of testbed 'corpus-prose' has no shipped weights \(xs have\)"):
        testbeds.load("corpus-prose")


@pytest.fixture
def folder(tmp_path):
    for suffix in ("safetensors", "json"):
        shutil.copy(CHECKPOINTS / f"shapes-xs.{suffix}", tmp_path)
    return tmp_path


def test_a_good_copy_loads(folder):
    assert testbeds.load("shapes", "xs", folder=folder).quality == testbeds.load("shapes", "xs").quality


def test_a_flipped_bit_is_refused(folder):
    path = folder / "shapes-xs.safetensors"
    blob = bytearray(path.read_bytes())
    blob[-1] ^= 1
    path.write_bytes(blob)
    with pytest.raises(ValueError, match=r"shapes-xs\.safetensors is damaged: sha256"):
        testbeds.load("shapes", "xs", folder=folder)


def test_another_recipe_is_refused(folder):
    path = folder / "shapes-xs.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "recipe_hash": "0" * 16}))
    with pytest.raises(ValueError, match="trained by recipe 0000000000000000, and this version has"):
        testbeds.load("shapes", "xs", folder=folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_broken_facts_are_refused(folder, text):
    (folder / "shapes-xs.json").write_text(text)
    with pytest.raises(ValueError, match="cannot be read"):
        testbeds.load("shapes", "xs", folder=folder)


def test_foreign_weights_are_refused(folder, monkeypatch):
    # right hash, right recipe, but the tensors of another model
    import hashlib

    from safetensors.torch import save
    from torch import zeros

    blob = save({"other": zeros(2)})
    (folder / "shapes-xs.safetensors").write_bytes(blob)
    record = json.loads((folder / "shapes-xs.json").read_text())
    record["sha256"] = hashlib.sha256(blob).hexdigest()
    (folder / "shapes-xs.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="weights do not fit the model"):
        testbeds.load("shapes", "xs", folder=folder)


def test_a_missing_checkpoint_names_the_command(tmp_path):
    with pytest.raises(ValueError, match=r"missing; rebuild it with: sillok testbed train shapes --size xs"):
        testbeds.load("shapes", "xs", folder=tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ValueError, match="cannot write the checkpoint"):
        testbeds.train("shapes", "xs", steps=1, samples=8, out=blocked)


def test_weights_too_large_for_the_package_need_a_folder():
    with pytest.raises(ValueError, match="has 9,771,520 bytes of weights, more than the package ships"):
        testbeds.train("corpus", "m", steps=1)


def test_cuda_asked_for_and_absent(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch sees no CUDA device"):
        testbeds.train("shapes", "xs", device="cuda")


def test_check_measures_what_was_shipped():
    found = testbeds.check("shapes", "xs")
    assert found.ok
    assert found.quality == pytest.approx(found.shipped, abs=0.02, rel=0.02)


def test_check_reports_a_broken_bound():
    check = Check({"accuracy": 0.9}, {}, {"accuracy": (0.97, 1.0), "recall": (0.5, 1.0)})
    assert not check.ok
    assert [line.split()[0] for line in check.failures] == ["accuracy", "recall"]


def test_the_catalogue_needs_no_framework_and_tells_what_is_shipped():
    code = "import sys, sillok.testbeds as t; print(len(t.catalogue()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(EVERY) + 1), "False"]
    rows = testbeds.catalogue()
    assert [(row["name"], row["size"]) for row in rows] == [*EVERY, ("sim_model", "")]
    for row in rows[:-1]:
        bed = testbeds.load(row["name"], row["size"])
        assert row["bounds"] == {metric: list(bound) for metric, bound in bed.bounds().items()}
        assert row["bounds"].keys() <= row["quality"].keys()
        assert (row["summary"], row["recipe_hash"]) == (bed.summary, bed.recipe.hash)
        assert row["seconds"] < 15 * 60


def test_a_missing_library_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sillok.testbeds.flow", None)

    def absent(module):
        raise ModuleNotFoundError("No module named 'diffusers'", name="diffusers")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ValueError, match=r"'flow' needs diffusers, .* pip install 'sillok\[testbeds\]'"):
        testbeds.load("flow")


def test_an_exhibit_of_every_testbed_is_a_picture_or_text():
    for name, size in EVERY:
        if name in ("digits", "shapes", "clips") and size == "s":
            for exhibit in testbeds.load(name, size).exhibits():
                assert exhibit.caption
                assert exhibit.text or (exhibit.image.dtype.name == "uint8" and exhibit.image.shape[2] == 3)
