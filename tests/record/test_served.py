"""One record in PostgreSQL served by several processes: none shows what another one has changed as it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sillok.record import Record

from .conftest import NewUrl


@contextmanager
def served(record: str, workers: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "sillok.cli", "serve", "--port", "0", "--record", record]
    with subprocess.Popen(
        [*command, "--workers", str(workers)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip().rstrip("/"), process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def children(parent: int) -> list[int]:
    """The workers of a server: its child processes that serve."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = stat.with_name("cmdline").read_text()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == parent and "spawn_main" in command:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.postgres
def test_two_workers_serve_one_record(new_postgres: NewUrl) -> None:
    url = new_postgres()
    with Record.open(url) as record, served(url, 2) as (address, process):
        for title in ("A first title", "A second title"):
            record.add_paper("2501.00001", title=title, authors=["Kim Minsu"])
            for _ in range(6):  # a connection each: whichever worker takes it
                assert title in httpx.get(f"{address}/papers/2501.00001", timeout=60).text
        workers = children(process.pid)
        assert len(workers) == 2
        for stopped in workers:
            os.kill(stopped, signal.SIGSTOP)
            try:
                assert "A second title" in httpx.get(f"{address}/search?q=second", timeout=60).text
                record.add_paper("2501.00001", title=f"A second title, {stopped}", authors=[])
                assert f"title, {stopped}" in httpx.get(f"{address}/papers/2501.00001", timeout=60).text
            finally:
                os.kill(stopped, signal.SIGCONT)
        with httpx.Client(base_url=address, timeout=60) as reader:
            page = reader.get("/desk")
            ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)
            assert ticket is not None
            form = {"ticket": ticket[1], "text": "## Daily Papers (2025-02-03)\n"}
            for _ in range(4):
                answer = httpx.post(f"{address}/desk", data=form, cookies=dict(reader.cookies), timeout=60)
                assert answer.status_code == 200, "a form that one worker sent, another one takes"


def test_a_queue_lives_in_one_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sillok.cli", "serve", "--allow-runs", "--workers", "2", "--port", "0"]
    ended = subprocess.run(
        [*command, "--record", str(tmp_path / "r.sqlite")], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1 and "--allow-runs needs one process" in ended.stderr
    assert ended.stderr.count("\n") == 1
