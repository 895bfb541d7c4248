"""The schema: what a card may hold, and errors that name file, field and value."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path

import pytest

from sillok.papers import CardError, validate_file

FACTS = """\
id = "2412.00001"
title = "A Paper"
authors = ["Ada Lovelace"]
published = "2024-12"
family = "optim"
kind = "optimizer"
host = "torch.optim.Optimizer"
"""
FULL = (
    FACTS
    + """\
authors_source = "the paper"
wave = 1
methods = ["sillok.methods.optim.x.X"]
differs = ["It is smaller."]
install = "search"
[[digests]]
date = 2024-12-04
votes = 5
[[digests]]
date = 2024-12-05
[reference]
repository = "ada/x"
licence = "MIT"
[summary.en]
"What's New" = "One."
"Technical Details" = "Two."
[summary.ko]
"What's New" = "하나."
[usage]
code = "import x"
[[claims]]
id = "traffic"
text = "Less."
text_ko = "적다."
trial = "sillok.trials.optim.x.traffic"
scope = "Bytes."
[claims.paper]
value = 85
unit = "x"
where = "Table 1"
verified = true
[[claims]]
id = "loss"
text = "Equal."
trial = "sillok.trials.optim.x.traffic"
scope = "Loss."
"""
)


def write(folder: Path, text: str, name: str = "2412.00001.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_complete_card(tmp_path: Path) -> None:
    card = validate_file(write(tmp_path, FULL))
    assert [(e.date, e.votes) for e in card.digests] == [
        (datetime.date(2024, 12, 4), 5),
        (datetime.date(2024, 12, 5), None),
    ]
    assert (
        list(card.summary.en) == ["What's New", "Technical Details"]
        and card.summary.ko["What's New"] == "하나."
    )
    assert card.usage is not None and card.usage.code == "import x"
    assert (card.install, card.has_method, card.reference.repository) == ("search", True, "ada/x")
    assert card.trials == ("sillok.trials.optim.x.traffic",)
    claim = card.claim("traffic")
    assert (claim.paper.value, claim.paper.verified, claim.paper.baseline) == (85.0, True, None)
    assert card.claim("loss").paper.value is None
    with pytest.raises(KeyError, match=r"2412\.00001 has no claim 'speed'"):
        card.claim("speed")


def test_facts_alone(tmp_path: Path) -> None:
    card = validate_file(write(tmp_path, FACTS))
    assert (card.install, card.has_method, card.trials, card.claims) == ("optim", False, (), ())
    assert (card.reference.repository, card.reference.licence) == (None, "unknown")
    assert card.authors_source == "unverified" and card.url == "https://arxiv.org/abs/2412.00001"


def test_a_full_date(tmp_path: Path) -> None:
    assert validate_file(write(tmp_path, FACTS.replace('"2024-12"', "2024-12-03"))).published == "2024-12-03"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 85", 'value = "abc"', "claims[0].paper.value: 'abc' is not a number"),
        ("value = 85", "value = true", "claims[0].paper.value: True is not a number"),
        ("value = 85", "value = nan", "claims[0].paper.value: nan is not a finite number"),
        ("verified = true", "verified = 1", "claims[0].paper.verified: 1 is neither true nor false"),
        ('unit = "x"', 'colour = "x"', "claims[0].paper.colour: 'x' is the value of an unknown key"),
        ('title = "A Paper"\n', "", "title: is missing"),
        ('title = "A Paper"', "title = 3", "title: 3 is not text"),
        ('title = "A Paper"', 'title = " "', "title: ' ' is not text"),
        ('authors = ["Ada Lovelace"]', "authors = []", "authors: [] is empty"),
        ('authors = ["Ada Lovelace"]', 'authors = "Ada"', "authors: 'Ada' is not a list"),
        ('authors = ["Ada Lovelace"]', "authors = [1]", "authors[0]: 1 is not text"),
        ('"2024-12"', '"2024-13"', "published: '2024-13' is neither YYYY-MM nor YYYY-MM-DD"),
        ('family = "optim"', 'family = "Op tim"', "family: 'Op tim' is not one word of"),
        ("wave = 1", "wave = 4", "wave: 4 is none of 1, 2 or 3"),
        ('["sillok.methods.optim.x.X"]', '["x"]', "methods[0]: 'x' is not a dotted name"),
        ('["sillok.methods.optim.x.X"]', '["a.class.X"]', "methods[0]: 'a.class.X' is not a dotted name"),
        ('["sillok.methods.optim.x.X"]', '["a.X", "a.X"]', "methods: ['a.X', 'a.X'] names a method twice"),
        ("votes = 5", "votes = -1", "digests[0].votes: -1 is less than 0"),
        ("votes = 5", "votes = 5.0", "digests[0].votes: 5.0 is not a whole number"),
        ("date = 2024-12-04", 'date = "soon"', "digests[0].date: 'soon' is not a date"),
        ("date = 2024-12-05", "date = 2024-12-04", "has the same date twice"),
        ('repository = "ada/x"', 'repository = "x"', "reference.repository: 'x' is neither 'owner/name'"),
        ('licence = "MIT"', 'license = "MIT"', "reference.license: 'MIT' is the value of an unknown key"),
        ("[summary.ko]", "[summary.fr]", "is the value of an unknown key"),
        ('id = "loss"', 'id = "traffic"', "has the id 'traffic' twice"),
        ('scope = "Bytes."\n', "", "claims[0].scope: is missing: a claim with a trial"),
        (
            'trial = "sillok.trials.optim.x.traffic"',
            'trial = "traffic()"',
            "claims[0].trial: 'traffic()' is not a",
        ),
        ('id = "2412.00001"', 'id = "2412.00001v2"', "id: '2412.00001v2' is no arXiv identifier"),
        ('id = "2412.00001"', 'id = "2412.00002"', "id: '2412.00002' is not the name of the file"),
        ("[[digests]]\ndate = 2024-12-05", "x = = 1", "not TOML: "),
    ],
)
def test_errors_name_file_field_and_value(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FULL
    with pytest.raises(CardError) as caught:
        validate_file(write(tmp_path, FULL.replace(old, new, 1)))
    line = str(caught.value)
    assert line.startswith("2412.00001.toml: ") and message in line and "\n" not in line


def test_all_faults_are_listed(tmp_path: Path) -> None:
    with pytest.raises(CardError) as caught:
        validate_file(
            write(tmp_path, FULL.replace("votes = 5", "votes = -1").replace("wave = 1", "wave = 0"))
        )
    assert [p.field for p in caught.value.problems] == ["wave", "digests[0].votes"]
    assert str(caught.value).endswith("(and 1 more)")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems and str(again) == str(caught.value)


def test_files_that_are_no_cards(tmp_path: Path) -> None:
    (tmp_path / "2412.00001.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CardError, match=r"2412\.00001\.toml: not UTF-8"):
        validate_file(tmp_path / "2412.00001.toml")
    with pytest.raises(CardError, match=r"none\.toml: cannot be read"):
        validate_file(tmp_path / "none.toml")
    with pytest.raises(CardError, match=r"a\.toml: more than 1,048,576 bytes"):
        validate_file(write(tmp_path, "#" * 2**21, "a.toml"))
    with pytest.raises(CardError, match=r"b\.toml: not"):
        validate_file(write(tmp_path, "x = " + "[" * 100_000, "b.toml"))
