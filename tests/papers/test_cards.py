"""The cards of this package: all valid, and their facts those of the digests."""

from __future__ import annotations

import datetime
import importlib.util
import os
from pathlib import Path

from sillok import digest, papers

SHARED = Path(os.environ.get("SILLOK_SHARED") or Path(__file__).parents[3] / "shared")
FOLDER = Path(papers.__file__).parent
FAMILIES = {
    "attention", "compression", "optim", "alignment", "decoding", "search", "diffusion", "generation",
    "tokenizers", "scenes", "tracking", "multimodal", "audio", "text", "agents", "evals", "theory",
}  # fmt: skip
DATES = {
    datetime.date(2024, 10, 4): 27,
    datetime.date(2024, 11, 21): 11,
    datetime.date(2024, 12, 4): 50,
    datetime.date(2024, 12, 11): 27,
    datetime.date(2025, 1, 8): 15,
}


def own() -> list[papers.Card]:
    return [papers.validate_file(path) for path in sorted(FOLDER.glob("*.toml"))]


def test_a_card_for_every_paper() -> None:
    cards = own()
    assert len(cards) == 130
    listed = [entry.date for card in cards for entry in card.digests]
    assert {date: listed.count(date) for date in DATES} == DATES


def test_facts_are_consistent() -> None:
    for card in own():
        assert card.family in FAMILIES, card.id
        assert card.published.startswith(f"20{card.id[:2]}-") or card.published > "2024", card.id
        assert card.authors_source, card.id
        assert card.url == f"https://arxiv.org/abs/{card.id}"
        assert len(set(card.authors)) == len(card.authors), card.id
        assert card.reference.repository is not None or card.reference.licence == "unknown", card.id


if (SHARED / "digests").is_dir():

    def test_votes_dates_and_authors_are_those_of_the_digests() -> None:
        seen = set()
        for path in sorted((SHARED / "digests").glob("20*.md")):
            read = digest.read(path)
            assert isinstance(read, digest.Digest)
            for entry in read.entries:
                assert entry.id is not None
                card = papers.load(entry.id)
                assert {e.date: e.votes for e in card.digests}[read.date or datetime.date.min] == entry.votes
                if card.authors_source.startswith("unverified"):
                    assert sorted(card.authors) == sorted(entry.authors), card.id
                seen.add((entry.id, read.date))
        own_ids = {path.stem for path in FOLDER.glob("*.toml")}
        assert {id for id, _ in seen} == own_ids
        assert seen == {(id, e.date) for id in own_ids for e in papers.load(id).digests}


if (SHARED / "papers").is_dir():

    def test_family_and_kind_are_those_of_the_specifications() -> None:
        for path in sorted((SHARED / "papers").glob("2*.md")):
            lines = path.read_text("utf-8").split("---")[1].strip().split("\n")
            spec = {key: value.strip().strip('"') for key, value in (line.split(": ", 1) for line in lines)}
            card = papers.load(path.stem)
            assert (card.title, card.family, card.kind) == (spec["title"], spec["family"], spec["kind"])
            assert card.wave == int(spec["wave"])
            if card.authors_source.startswith("unverified"):
                assert (card.reference.repository or "none") == spec["reference"]
                assert card.reference.licence == spec["licence"]


def test_a_claims_testbed_is_the_one_that_its_trial_loads() -> None:
    """The trial's module names it, as a word or by the testbed's own module."""
    named = [claim for card in papers.catalogue().values() for claim in card.claims if claim.testbed]
    assert len(named) >= 10
    for claim in named:
        source = Path(importlib.util.find_spec(claim.trial.rpartition(".")[0]).origin).read_text("utf-8")
        assert f'"{claim.testbed}"' in source or f"testbeds.{claim.testbed} import" in source, claim.trial
