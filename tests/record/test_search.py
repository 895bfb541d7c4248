"""What a search finds and in which order, in both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.record import Record, search
from sillok.record.tables import words

from .conftest import databases

PAPERS: dict[str, dict[str, Any]] = {
    "2411.19870": {
        "title": "DeMo: Decoupled Momentum Optimization",
        "authors": ["Bowen Peng", "Jürgen Müller"],
        "published": "2024-11-29",
        "family": "optim",
        "summaries": {
            "ko": "이 논문은 대규모 모델의 학습을 다룬다. 가속기 사이의 통신을 줄인다.",
            "en": "Training large models with low-rank traffic between accelerators; LoRA is not needed.",
        },
    },
    "2410.02367": {
        "title": "SageAttention: Accurate 8-Bit Attention",
        "authors": ["Jintao Zhang", "김민수"],
        "published": "2024-10-03",
        "family": "attention",
        "summaries": {"ko": "주의집중을 8비트로 계산하는 모델. LoRA를 쓴다. 총 네 가지다."},
    },
    "2410.02416": {
        "title": "Guidance without saturation",
        "authors": [],
        "published": "2024-10-03",
        "family": "text-to-image",
        "summaries": {
            "en": "Attention to the projected update. A training-free method for diffusion models."
        },
    },
}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shelf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    """The papers in a record that the tests of this module share, since they only read it."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = str(tmp_path_factory.mktemp("shelf") / "record.sqlite")
        else:
            url = stack.enter_context(databases(request.getfixturevalue("postgres_server")))()
        record = stack.enter_context(Record.open(url))
        record.add_papers({"id": id} | values for id, values in PAPERS.items())
        yield record


@pytest.fixture
def library(record: Record) -> Record:
    """The same papers in a record of the test's own."""
    record.add_papers({"id": id} | values for id, values in PAPERS.items())
    return record


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("모델", {"2411.19870", "2410.02367"}),
        ("모델의", {"2411.19870", "2410.02367"}),
        ("모델을", {"2411.19870", "2410.02367"}),
        ("학습", {"2411.19870"}),
        ("학습을", {"2411.19870"}),
        ("학습의 모델", {"2411.19870"}),
        ("집중", {"2410.02367"}),  # inside a word
        ("의집", {"2410.02367"}),
        ("모학", set()),
        ("델학", set()),  # pairs do not reach over a space
        ("총", {"2410.02367"}),
        ("통", {"2411.19870"}),  # one syllable: the beginning of 통신
        ("LoRA를", {"2411.19870", "2410.02367"}),
        ("8비트", {"2410.02367"}),
        ("김민수", {"2410.02367"}),
        ("muller", {"2411.19870"}),
        ("MÜLLER momentum", {"2411.19870"}),
        ("low-rank", {"2411.19870"}),
        ("rank low", {"2411.19870"}),  # two words: any order
        ("rank-low", set()),  # one word: its own order
        ("2411.19870", {"2411.19870"}),
        ("2410.02", {"2410.02367", "2410.02416"}),
        ("train", {"2411.19870", "2410.02416"}),
        ("train method", set()),  # only the last word may be the beginning of one
        ("trainin", {"2411.19870", "2410.02416"}),
        ("training method", {"2410.02416"}),
        ("peng decoupled 통신", {"2411.19870"}),
        ("nothing", set()),
        ("", set()),
        (" *\"'() ", set()),
    ],
)
def test_what_is_found(shelf: Record, query: str, found: set[str]) -> None:
    assert {hit.id for hit in shelf.search(query)} == found


HOSTILE = [
    *('"', "a AND", "OR", "NOT x", "NEAR(a, 2)", "title:a", "{title}: a", "a*", "^a", "a' | 'b", "\\"),
    *("'; DROP", "!a", "a <-> b", ":*", "\x00", "\ud800", "%", "_", "((("),
    *("a" * 5000, "가" * 5000, "가 나 " * 3000, "a b " * 900),
]


@pytest.mark.parametrize("query", HOSTILE)
def test_no_text_is_an_error(shelf: Record, query: str) -> None:
    assert isinstance(shelf.search(query), list)


@settings(max_examples=60, deadline=None)
@given(query=st.text(max_size=60))
def test_no_text_at_all_is_an_error(shelf: Record, query: str) -> None:
    shelf.search(query)


def test_titles_weigh_more_and_families_narrow(library: Record) -> None:
    hits = library.search("attention")
    assert [hit.id for hit in hits] == ["2410.02367", "2410.02416"] and hits[0].score > hits[1].score > 0
    (hit,) = library.search("attention", family="text-to-image")
    assert (hit.id, hit.title, hit.published) == ("2410.02416", "Guidance without saturation", "2024-10-03")
    assert library.search("attention", family="text") == [] == library.search("attention", family="")


def test_a_snippet_is_in_the_language_of_the_query(library: Record) -> None:
    assert "모델의 학습을" in library.search("학습")[0].snippet
    assert "low-rank traffic" in library.search("low rank traffic")[0].snippet
    library.add_paper("1", title="t", authors=[], summaries={"en": "word " * 200 + "needle " + "word " * 200})
    snippet = library.search("needle")[0].snippet
    assert "needle" in snippet and snippet.startswith("… ") and snippet.endswith(" …") and len(snippet) < 220
    assert library.search("peng")[0].snippet.startswith("Training large models")
    library.add_paper("2", title="t", authors=[], summaries={"en": "haystack sevenfold " * 40})
    assert library.search("haystack")[0].snippet.endswith(("sevenfold …", "haystack …")), "no half of a word"


def test_a_changed_paper_is_found_by_its_new_words_only(library: Record) -> None:
    library.add_paper("2411.19870", title="Renamed", authors=[], summaries={"en": "Fresh.", "ko": "새로움"})
    assert [hit.id for hit in library.search("renamed fresh 새로움")] == ["2411.19870"]
    assert library.search("momentum") == [] == library.search("학습")
    assert library.search("moment") == []  # nor by the beginning of an old word
    assert {hit.id for hit in library.search("모델")} == {"2410.02367"}


def test_more_matches_than_are_ranked(record: Record) -> None:
    count = 3 * search.POOL
    record.add_papers(
        {
            "id": f"p{number:04d}",
            "title": "the rare title" if number == 0 else "a model",
            "authors": [],
            "published": f"{2000 + number // 300}-{number // 28 % 12 + 1:02d}-{number % 28 + 1:02d}",
            "summaries": {"ko": "모델", "en": "model " * (1 + number % 3)},
        }
        for number in range(count)
    )
    pages = [record.search("모델", limit=100, offset=offset) for offset in range(0, count + 100, 100)]
    assert [len(page) for page in pages] == [100] * (count // 100) + [0]
    assert len({hit.id for page in pages for hit in page}) == count
    newest = {paper.id for paper in record.papers(limit=search.POOL)}
    assert {hit.id for page in pages[: search.POOL // 100] for hit in page} == newest
    assert [hit.id for hit in record.search("모델", limit=150, offset=250)] == [
        hit.id for hit in [*pages[2], *pages[3]][50:200]
    ]
    # the oldest of all is among the ranked where its title matches
    assert [hit.id for hit in record.search("title", limit=5)] == ["p0000"]
    ranked = record.search("모델 model", limit=10)
    assert all(hit.score >= after.score for hit, after in pairwise(ranked))


def test_common_words_beside_a_rare_one_are_looked_for_in_its_papers(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.add_papers(
        {
            "id": f"p{number:04d}",
            "title": f"a model {'gadget' if number % 20 == 0 else ''}",
            "authors": ["Ada Lovelace" if number == 40 else "Nobody"],
            "family": "optim" if number % 40 == 0 else "search",
            "summaries": {
                "ko": "모델의 학습" if number != 60 else "모델",
                "en": "low rank" if number < 50 else "low",
            },
        }
        for number in range(200)
    )
    queries = (
        "gadget model",
        "gadget 모델 학습",
        "gadget low-rank",
        "gadget lovelace model",
        "model gadg",
        "low gad",
    )
    usual = [record.search(query, limit=50) for query in (*queries, "gadget nobody")]
    assert [len(found) for found in usual] == [10, 9, 3, 1, 10, 10, 9]
    matched: list[str] = []
    newest = search._newest
    monkeypatch.setattr(search, "_newest", lambda *given: matched.append(given[2]) or newest(*given))
    monkeypatch.setattr(search, "COMMON", 30)
    assert [record.search(query, limit=50) for query in (*queries, "gadget nobody")] == usual
    assert not any("model" in match or "모델" in match for match in matched) and "gadget" in matched[0]
    narrowed = record.search("gadget model", family="optim", limit=50)
    assert {hit.id for hit in narrowed} == {"p0000", "p0040", "p0080", "p0120", "p0160"}
    assert record.search("gadget model", family="optim", limit=2, offset=1) == narrowed[1:3]
    monkeypatch.setattr(search, "RARE", 5)
    assert [record.search(query, limit=50) for query in queries] == usual[:-1]
    assert "model" in matched[-1] or "low" in matched[-1], "nothing is rare: all words are asked of the index"


def test_both_databases_find_the_same(new_sqlite: Any, new_postgres: Any) -> None:
    found = []
    for url in (new_sqlite(), new_postgres()):
        with Record.open(url) as record:
            record.add_papers({"id": id} | values for id, values in PAPERS.items())
            queries = ["모델", "attention", "train", "2410.02", "8비트 모델", "models", "통", "lora"]
            found.append([record.search(query) for query in queries])
    assert found[0] == found[1] and all(found[0])


def test_a_long_paper_is_kept_whole_and_found(record: Record) -> None:
    text = "길이 " * 40_000 + "끝말"
    record.add_paper("1", title="Long", authors=["x" * 5000], summaries={"ko": text})
    paper = record.paper("1")
    assert paper is not None and paper.summaries["ko"] == text
    assert [hit.id for hit in record.search("길이 long")] == ["1"]


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_negative_pages_are_refused(record: Record, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: -1"):
        record.search("a", **{name: -1})


def test_words_are_counted_as_if_indexed_anew(library: Record) -> None:
    def counted() -> dict[str, int]:
        with library._reading() as connection:
            return {row.word: row.papers for row in connection.execute(words.select()) if row.papers}

    library.add_paper("2411.19870", title="Renamed model", authors=[], summaries={"ko": "새로움"})
    library.add_paper("2411.19870", title="Renamed again", authors=["A"], summaries={"en": "Fresh."})
    before = counted()
    assert before["모델"] == 1 and before[""] == 3
    with library._writing() as connection:
        connection.execute(search.search.delete())
        search.rebuild_if_short(connection)
    assert counted() == before
