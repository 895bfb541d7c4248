"""Whether a record has changed, who ever wrote; reading as of one moment."""

from __future__ import annotations

import threading
from pathlib import Path

from sillok.record import Record

from .conftest import NewUrl


def titles(record: Record) -> list[str]:
    return sorted(paper.title for paper in record.papers())


def test_the_version_changes_with_every_write_and_with_nothing_else(new_url: NewUrl) -> None:
    url = new_url()
    with Record.open(url) as record, Record.open(url) as other:
        seen = {record.version()}
        for writer, id in ((record, "1"), (other, "2"), (record, "3")):
            writer.add_paper(id, title=id, authors=[])
            version = record.version()
            assert version not in seen, "one more was written"
            seen.add(version)
            assert titles(record) and record.search("nothing") == [] and record.version() == version
        record.close()
        other.add_paper("3", title="3", authors=[])
        reopened = record.version()
        assert reopened not in seen, "what was written while nobody looked"
        assert titles(record) == ["1", "2", "3"] and record.version() == reopened


def test_a_record_in_memory_tells_its_changes_too() -> None:
    with Record.open("sqlite:///:memory:") as record:
        before = record.version()
        record.add_paper("1", title="1", authors=[])
        assert record.version() != before
        with record.at_once() as version:
            assert version == record.version() and titles(record) == ["1"]


def test_a_block_reads_as_of_one_moment(new_url: NewUrl) -> None:
    url = new_url()
    with Record.open(url) as record, Record.open(url) as other:
        record.add_paper("1", title="1", authors=[])
        elsewhere: list[list[str]] = []
        with record.at_once() as version:
            assert titles(record) == ["1"]
            other.add_paper("2", title="2", authors=[])
            assert titles(record) == ["1"] and record.lists.titles(["2"]) == {}
            assert record.version() == version, "what is kept under it is what was read"
            with record.at_once() as inner:
                assert inner == version and titles(record) == ["1"]
            thread = threading.Thread(target=lambda: elsewhere.append(titles(record)))
            thread.start()
            thread.join()
        assert elsewhere == [["1", "2"]], "another thread has a moment of its own"
        assert titles(record) == ["1", "2"] and record.version() != version


def test_a_block_that_fails_leaves_the_record_as_it_was(new_url: NewUrl) -> None:
    with Record.open(new_url()) as record:
        try:
            with record.at_once():
                raise KeyError("x")
        except KeyError:
            pass
        record.add_paper("1", title="1", authors=[])
        assert titles(record) == ["1"]


def test_a_record_that_can_only_be_read_has_a_version(tmp_path: Path) -> None:
    with Record.open(tmp_path / "r.sqlite") as record:
        record.add_paper("1", title="1", authors=[])
        with Record.open(tmp_path / "r.sqlite", read_only=True) as reader:
            before = reader.version()
            record.add_paper("2", title="2", authors=[])
            assert reader.version() != before
            with reader.at_once():
                assert titles(reader) == ["1", "2"]
