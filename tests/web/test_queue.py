"""Runs from the page, on toys: the order of the queue, progress, cancelling, and who may start anything."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import schemathesis
from hypothesis import given, settings

from sillok import papers
from sillok.record import Record
from sillok.web import application
from sillok.web.jobs import Queue, QueueError
from sillok.web.work import JobAsk, JobView

from . import samples
from .conftest import serving
from .test_desk import TOKEN, ticket

_VERIFY = Path(__file__).parents[1] / "verify"
_spec = importlib.util.spec_from_file_location("toys_of_verify", _VERIFY / "conftest.py")
assert _spec is not None and _spec.loader is not None
_toys = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_toys)
toy_package, PAPER = _toys.toy_package, _toys.PAPER
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def toys(toy_package: Path) -> Iterator[None]:
    """The toys in the catalogue, here and in the workers."""
    path = os.pathsep.join([str(toy_package), str(_VERIFY), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        patch.setattr(sys, "path", [str(toy_package), *sys.path])
        papers.catalogue.cache_clear()
        yield
    papers.catalogue.cache_clear()


@pytest.fixture
def record(tmp_path: Path, toys: None) -> Iterator[Record]:
    with Record.open(tmp_path / "r.sqlite") as opened:
        yield opened


@pytest.fixture
def queue(record: Record) -> Iterator[Queue]:
    made = Queue(record, cores=2, most=3)
    yield made
    made.close()


@pytest.fixture
def site(record: Record) -> Iterator[str]:
    with serving(application(record, hosts=["127.0.0.1"], token=TOKEN, jobs=2)) as address:
        yield address


@pytest.fixture
def member(site: str) -> Iterator[httpx.Client]:
    """A reader who is logged in."""
    with httpx.Client(base_url=site, timeout=60) as client:
        answer = client.post("/login", data={"ticket": ticket(client, "/login"), "token": TOKEN})
        assert answer.status_code == 303 and answer.headers["location"] == "/runs/queue"
        cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("sillok_session"))
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
        yield client


def ask(claim: str, **more: Any) -> JobAsk:
    return JobAsk(paper=PAPER, claim=claim, **more)


def ended(queue: Queue, id: str, seconds: float = 120) -> JobView:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = queue.job(id)
        assert job is not None
        if job.state not in ("waiting", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(f"{queue.job(id)} did not end")


def running(queue: Queue, id: str, done: int = 0) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        job = queue.job(id)
        assert job is not None and job.state in ("waiting", "running")
        if job.state == "running" and job.runs and job.done >= done:
            return
        time.sleep(0.02)
    raise AssertionError("it did not start")


def workers() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "sillok.verify.worker" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_claim_is_measured_as_the_command_line_does(queue: Queue, record: Record) -> None:
    job = ended(queue, queue.ask(ask("good")).id)
    assert (job.state, job.verdict, job.done, job.runs, job.share) == ("done", "upheld", 6, 6, 1.0)
    assert "6 runs at smoke" in job.log and "UPHELD" in job.log and job.reason
    assert len(record.runs(paper=PAPER)) == 6
    assert [v.verdict for v in record.verdicts(paper=PAPER)] == ["upheld"]
    placebo = ended(queue, queue.ask(ask("good", mode="placebo")).id)
    assert (placebo.verdict, placebo.runs, placebo.mode) == ("not upheld", 6, "placebo")
    fault = ended(queue, queue.ask(ask("good", mode="fault")).id)
    assert fault.verdict == "not upheld"
    again = ended(queue, queue.ask(ask("good")).id)
    assert (again.done, again.runs) == (6, 6) and len(record.runs(paper=PAPER)) == 12, "nothing ran twice"
    assert queue.view().ended[0].id == again.id


def test_one_at_a_time_in_the_order_of_asking(queue: Queue) -> None:
    first = queue.ask(ask("slow"))
    running(queue, first.id)
    second, third, fourth = (queue.ask(ask("good", mode=mode)) for mode in ("trial", "placebo", "fault"))
    assert [one.before for one in (second, third, fourth)] == [1, 2, 3]
    assert [one.id for one in queue.view().waiting] == [first.id, second.id, third.id, fourth.id]
    assert [one.state for one in queue.view().waiting] == ["running", "waiting", "waiting", "waiting"]
    with pytest.raises(QueueError, match="3 verifications wait already"):
        queue.ask(ask("peer"))
    assert queue.ask(ask("good")).id == second.id, "what waits is not queued twice"
    assert queue.ask(ask("slow")).id == first.id, "nor what runs"
    assert queue.cancel(third.id).state == "cancelled"  # type: ignore[union-attr]
    jobs = [ended(queue, one.id) for one in (first, second, third, fourth)]
    assert [one.state for one in jobs] == ["done", "done", "cancelled", "done"]
    moments = [one.ended for one in (jobs[0], jobs[1], jobs[3])]
    assert moments == sorted(moments)  # type: ignore[type-var]
    assert queue.cancel("0" * 16) is None and queue.job("0" * 16) is None


def test_cancelling_keeps_what_ended_and_kills_the_workers(queue: Queue, record: Record) -> None:
    job = queue.ask(ask("slow"))
    running(queue, job.id, done=1)
    assert workers()
    queue.cancel(job.id)
    stopped = ended(queue, job.id, 10)
    assert (
        stopped.state == "cancelled" and stopped.verdict is None and "in the record" in (stopped.reason or "")
    )
    assert not workers()
    stored = record.runs(paper=PAPER)
    assert 1 <= len(stored) < 6 and {run.state for run in stored} == {"done"}, (
        "a run in flight is no failed run"
    )
    assert record.verdicts(paper=PAPER) == []
    rest = ended(queue, queue.ask(ask("slow")).id)
    assert rest.verdict == "upheld" and len(record.runs(paper=PAPER)) == 6, "it goes on where it was"


def test_closing_stops_everything(record: Record) -> None:
    queue = Queue(record, cores=1)
    first, second = queue.ask(ask("slow")), queue.ask(ask("good"))
    running(queue, first.id)
    queue.close()
    assert not workers()
    assert [queue.job(one.id).state for one in (first, second)] == ["cancelled", "cancelled"]  # type: ignore[union-attr]
    with pytest.raises(QueueError, match="stopping"):
        queue.ask(ask("good"))


def test_what_goes_wrong_ends_one_verification_alone(queue: Queue) -> None:
    crash = ended(queue, queue.ask(ask("crash")).id)
    assert (crash.state, crash.verdict) == ("done", "failed") and "SIGSEGV" in (crash.reason or "")
    gpu = ended(queue, queue.ask(ask("gpu")).id)
    assert gpu.verdict == "out of reach" and gpu.share == 1.0
    lost = ended(queue, queue.ask(ask("broken")).id)
    assert lost.verdict == "failed" and "a part is missing" in (lost.reason or "")
    for paper, claim in ((PAPER, "nothing"), ("2401.99999", "good"), ("2411.19870", "no-such")):
        with pytest.raises(ValueError, match="claim|paper|card"):
            queue.ask(JobAsk(paper=paper, claim=claim))
    assert ended(queue, queue.ask(ask("good")).id).verdict == "upheld"


def test_old_ones_are_forgotten(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sillok.web.jobs.KEPT", 2)
    queue = Queue(record, cores=1)
    ids = []
    for _ in range(4):
        ids.append(queue.ask(ask("good")).id)
        queue.cancel(ids[-1])
        ended(queue, ids[-1])
    last = queue.ask(ask("good"))
    assert queue.job(ids[0]) is None and queue.job(ids[-1]) is not None and queue.job(last.id) is not None
    queue.close()


def test_only_who_has_the_token_starts_anything(site: str) -> None:
    body = {"paper": PAPER, "claim": "good"}
    with httpx.Client(base_url=site, timeout=60) as client:
        assert "Log in to start runs" in client.get("/runs/queue").text
        login = {"ticket": ticket(client, "/login")}
        for wrong in ("", "wrong", TOKEN[:-1]):
            page = client.post("/login", data={**login, "token": wrong})
            assert page.status_code == 403 and "That is not the token" in page.text
            assert "sillok_session" not in client.cookies
        assert client.post("/login", data={"token": TOKEN}).status_code == 403, "without a ticket"
        assert client.post("/runs/queue", data={**login, "claim": f"{PAPER}/good"}).status_code == 403
        client.cookies.set("sillok_session", f"{int(time.time()) + 999}.{'0' * 64}")
        assert client.post("/runs/queue", data={**login, "claim": f"{PAPER}/good"}).status_code == 403
        for headers in ({}, {"authorization": "Bearer wrong"}, {**BEARER, "origin": "https://evil.example"}):
            answer = client.post("/api/runs/queue", json=body, headers=headers)
            assert answer.status_code in (401, 403)
            assert client.post(f"/api/runs/queue/{'0' * 16}/cancel", headers=headers).status_code in (
                401,
                403,
            )
        assert client.get("/api/runs/queue").json()["waiting"] == []


def test_after_login_only_pages_of_this_site_follow(site: str) -> None:
    for next, expected in (
        ("/papers/2411.19870#traffic", "/papers/2411.19870#traffic"),
        ("/desk", "/desk"),
        ("//evil.example", "/runs/queue"),
        ("https://evil.example", "/runs/queue"),
        ("/papers//evil.example", "/runs/queue"),
        ("/papers/x\r\nset-cookie: a=b", "/runs/queue"),
    ):
        with httpx.Client(base_url=site, timeout=60) as client:
            fields = {"ticket": ticket(client, "/login"), "token": TOKEN, "next": next}
            assert client.post("/login", data=fields).headers["location"] == expected


def test_a_member_starts_watches_and_leaves(member: httpx.Client) -> None:
    page = member.get("/papers/2401.00001").text
    assert 'name="claim" value="2401.00001/slow"' in page
    fields = {"ticket": ticket(member, "/runs/queue"), "claim": f"{PAPER}/slow", "scale": "smoke"}
    for wrong in ({"scale": "huge"}, {"mode": "x"}, {"claim": "x"}, {"claim": f"{PAPER}/nothing"}):
        assert member.post("/runs/queue", data={**fields, **wrong}).status_code == 422
    for forged in ({"ticket": "0" * 64}, {"ticket": ""}):
        assert member.post("/runs/queue", data={**fields, **forged}).status_code == 403
    answer = member.post("/runs/queue", data=fields)
    assert answer.status_code == 303
    place = answer.headers["location"]
    assert re.fullmatch("/runs/queue/[0-9a-f]{16}", place)
    page = member.get(place).text
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in page and "Refresh" in page
    events = told(member, f"{place}/events")
    assert events[-1] == ("end", {}) and events[-2][1]["verdict"] == "upheld"
    shares = [data["share"] for kind, data in events if kind == "job"]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(set(shares)) > 2
    logs = [data["log"] for kind, data in events if kind == "job"]
    assert any("seed 0" in log and "UPHELD" not in log for log in logs), "the log as it grows"
    page = member.get(place).text
    assert "refresh" not in page.split("</head>")[0] and f'href="/papers/{PAPER}#slow"' in page
    assert "upheld" in member.get(f"/papers/{PAPER}").text
    assert member.post("/logout", data={"ticket": ticket(member, "/runs/queue")}).status_code == 303
    assert member.post("/runs/queue", data=fields).status_code == 403


def told(client: httpx.Client, path: str) -> list[tuple[str, dict[str, Any]]]:
    """Every event of a stream."""
    with client.stream("GET", path, timeout=120) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store" and "content-encoding" not in answer.headers
        text = "".join(answer.iter_text())
    return [(kind, json.loads(data)) for kind, data in re.findall(r"event: (\w+)\ndata: (.*)\n\n", text)]


def test_a_program_starts_watches_and_cancels(site: str) -> None:
    with httpx.Client(base_url=site, timeout=60) as client:
        body = {"paper": PAPER, "claim": "slow"}
        first = client.post("/api/runs/queue", json=body, headers=BEARER).json()
        assert client.post("/api/runs/queue", json=body, headers=BEARER).json()["id"] == first["id"]
        assert client.get(f"/api/runs/queue/{first['id']}").json()["claim"] == "slow"
        unknown = client.post("/api/runs/queue", json={**body, "claim": "nothing"}, headers=BEARER)
        assert unknown.status_code == 422 and "no claim" in unknown.json()["detail"]
        assert client.post("/api/runs/queue", json={"paper": "x"}, headers=BEARER).status_code == 422
        found: list[Any] = []
        watcher = threading.Thread(
            target=lambda: found.extend(told(client, f"/runs/queue/{first['id']}/events"))
        )
        watcher.start()
        time.sleep(0.5)
        assert client.post(f"/api/runs/queue/{first['id']}/cancel", headers=BEARER).status_code == 200
        watcher.join(30)
        assert found[-1] == ("end", {}) and found[-2][1]["state"] == "cancelled"
        assert client.get(f"/api/runs/queue/{'0' * 16}").status_code == 404
        assert client.get(f"/runs/queue/{'0' * 16}/events").status_code == 404
        assert client.get("/runs/queue/../../etc").status_code == 404


def test_schemathesis_finds_no_error_of_the_server(site: str) -> None:
    described = httpx.get(f"{site}/api/openapi.json", timeout=60).json()
    schema = schemathesis.openapi.from_dict(described)
    operations = [
        found.ok()
        for found in schema.include(path_regex="queue|desk|login|logout").get_all_operations()
        if not found.ok().path.endswith("/events")
    ]
    assert {operation.path for operation in operations} >= {
        *("/api/desk", "/api/runs/queue", "/api/runs/queue/{id}", "/api/runs/queue/{id}/cancel"),
        *("/desk", "/login", "/logout", "/runs/queue", "/runs/queue/{id}", "/runs/queue/{id}/cancel"),
    }
    statuses: set[int] = set()
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(samples.CALLS, max_examples=8)
        def called(case: Any) -> None:
            for headers in ({}, BEARER if case.path != "/api/runs/queue" else {}):
                answer = case.call(base_url=site, headers=headers)
                statuses.add(answer.status_code)
                assert answer.status_code < 500, (case.formatted_path, case.body, answer.text[:300])

        called()
    assert {200, 401, 403, 404} <= statuses


def test_a_server_that_stops_kills_its_workers(toys: None, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sillok.cli", "serve", "--port", "0", "--allow-runs"]
    environment = os.environ | {"SILLOK_TOKEN": TOKEN, "SILLOK_RECORD": str(tmp_path / "r.sqlite")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().strip()
        body = {"paper": PAPER, "claim": "slow"}
        answer = httpx.post(f"{url}api/runs/queue", json=body, headers=BEARER, timeout=60)
        place = f"{url}api/runs/queue/{answer.json()['id']}"
        while httpx.get(place, timeout=60).json()["done"] < 1:
            time.sleep(0.05)
        started = psutil.Process(server.pid).children(recursive=True)
        assert started
        assert all(TOKEN not in process.environ().values() for process in started), "workers see no token"
        server.terminate()
        server.wait(30)
        assert TOKEN not in server.stderr.read()
        psutil.wait_procs(started, 5)
        assert not [process for process in started if process.is_running()]
    with Record.open(tmp_path / "r.sqlite") as opened:
        assert {run.state for run in opened.runs(paper=PAPER)} == {"done"}


def test_a_token_is_made_and_printed_once(tmp_path: Path) -> None:
    environment = os.environ | {"SILLOK_TOKEN": "", "SILLOK_RECORD": str(tmp_path / "r.sqlite")}
    command = [sys.executable, "-m", "sillok.cli", "serve", "--port", "0", "--allow-runs"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().strip()
        token = server.stderr.readline().split()[-1]
        assert len(token) >= 32
        with httpx.Client(base_url=url, timeout=60) as client:
            fields = {"ticket": ticket(client, "/login"), "token": token}
            assert client.post("/login", data=fields).status_code == 303
        server.terminate()
        assert token not in server.stderr.read()
    weak = subprocess.run(
        command, capture_output=True, text=True, env=environment | {"SILLOK_TOKEN": "short"}, timeout=60
    )
    assert weak.returncode == 1 and weak.stderr.count("\n") == 1 and "at least 16" in weak.stderr
