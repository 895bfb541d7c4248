"""The client: repetitions, pauses, politeness, conditional requests, what a broken connection leaves behind."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from papers_site import Fault, Paper, row
from sillok.digest.fetch import FetchError, NoNetwork, Sites
from sillok.digest.fetch.cache import Cache, Kept
from sillok.digest.fetch.http import retry_after
from sillok.digest.fetch.pace import Pace

PAGE = "/html/2411.19870v1"


@pytest.fixture
def page(site):
    site.add(Paper("2411.19870", files={("html", 1): b"<html>Hello</html>"}))
    return site.url + PAGE


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(site, connect, page, status):
    site.faults.append(Fault(PAGE, times=2, status=status))
    assert connect().get(page).body == b"<html>Hello</html>"
    assert len(site.log) == 3


def test_it_gives_up_in_one_line(site, connect, page):
    site.faults.append(Fault(PAGE, times=9, status=500))
    with pytest.raises(FetchError, match="the server answers 500") as caught:
        connect().get(page)
    assert caught.value.status == 500
    assert len(site.log) == 3


def test_a_404_is_an_answer_and_not_repeated(site, connect):
    assert connect().get(site.url + "/html/2501.00001v1").status == 404
    assert len(site.log) == 1


def test_retry_after_is_honoured(site, connect, page):
    site.faults.append(Fault(PAGE, status=429, headers={"Retry-After": "1"}))
    connect().get(page)
    (first, *_), (second, *_) = site.log
    assert second - first >= 0.99


def test_a_server_that_asks_for_an_hour_is_left_alone(site, connect, page):
    site.faults.append(Fault(PAGE, status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(FetchError, match="answers 429 and asks to wait 3600 s"):
        connect().get(page)
    assert len(site.log) == 1


def test_a_site_that_says_429_to_the_last_try_is_left_alone(site, connect, page):
    """Even if it names no time: the patience for one paper is enough for all; other sites are asked."""
    site.faults.append(Fault(PAGE, times=9, status=429))
    client = connect()
    for _ in range(3):
        with pytest.raises(FetchError, match="answers 429") as caught:
            client.get(page)
    assert (caught.value.status, len(site.log)) == (429, 3)
    elsewhere = page.replace("127.0.0.1", "localhost")
    site.faults.clear()
    assert client.get(elsewhere).status == 200
    assert connect().get(page).status == 200


def test_retry_after_as_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100))
    assert 95 < (retry_after(later) or 0) <= 101
    assert retry_after("soon") is None
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(hours=1))) == 0


def test_a_broken_off_answer_is_asked_for_again(site, connect, page):
    site.faults.append(Fault(PAGE, cut=True))
    assert connect().get(page).body == b"<html>Hello</html>"
    site.faults.append(Fault(PAGE, times=9, cut=True))
    with pytest.raises(FetchError, match="broke off"):
        connect().get(page)


def test_a_server_that_does_not_answer(site, connect, page):
    site.faults.append(Fault(PAGE, times=9, hang=30))
    with pytest.raises(FetchError, match=r"no answer within 0\.2 s"):
        connect(timeout=0.2, tries=2).get(page)
    assert len(site.log) == 2


def test_redirects_are_followed_and_sillok_names_itself(site, connect, page):
    assert connect().get(f"{site.url}/moved{PAGE}").status == 200
    assert all(headers["user-agent"].startswith("sillok/") for _, _, headers in site.log)


def test_no_network_is_one_line(connect, tmp_path):
    client = connect()
    with pytest.raises(NoNetwork, match=r"no network: 127\.0\.0\.1 cannot be reached"):
        client.get("http://127.0.0.1:9/nothing")


def test_requests_to_arxiv_keep_their_distance_over_redirects_and_clients(site, connect, page):
    clients = [connect(delay=0.25), connect(delay=0.25)]
    threads = [threading.Thread(target=client.get, args=(f"{site.url}/moved{PAGE}",)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(when for when, _, _ in site.log)
    assert len(times) == 4
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.25


def test_processes_that_share_a_cache_take_turns(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from sillok.digest.fetch.pace import Pace\n"
        "pace = Pace(0.3, Path(sys.argv[1]))\n"
        "for _ in range(2):\n"
        "    with pace.alone(): pace.turn(); print(repr(time.time()), flush=True)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    times = sorted(float(line) for process in running for line in process.communicate()[0].split())
    assert len(times) == 4
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.3


def test_a_clock_that_was_set_back_stops_nobody(tmp_path):
    pace = Pace(0.05, tmp_path)
    (tmp_path / "arxiv.last").write_text(repr(time.time() + 1e6))
    with pace.alone():
        pace.turn()
    assert float((tmp_path / "arxiv.last").read_text()) < time.time() + 1


def test_listings_are_asked_for_with_their_validators(site, connect):
    site.days["2024-12-04"] = [row("2412.00001")]
    url = f"{site.url}/api/daily_papers?date=2024-12-04&limit=9&p=0"
    first = connect().listing(url)
    assert connect().listing(url) == first
    assert "if-none-match" in site.log[1][2]
    site.days["2024-12-04"].append(row("2412.00002"))
    assert len(json.loads(connect().listing(url))) == 2
    assert connect().listing(url, fresh=60) != first
    assert len(site.log) == 3


def test_what_was_fetched_is_served_when_the_server_is_not_there(site, connect, said):
    site.days["2024-12-04"] = [row("2412.00001")]
    url = f"{site.url}/api/daily_papers?date=2024-12-04&limit=9&p=0"
    first = connect().listing(url)
    site.faults.append(Fault("/api", times=9, status=503))
    assert connect().listing(url) == first
    assert connect(offline=True).listing(url) == first
    assert len(said) == 2
    assert "answers 503; what was fetched 20" in said[0]
    with pytest.raises(NoNetwork, match="offline"):
        connect(offline=True).listing(url + "1")


def test_a_damaged_cache_counts_as_none(tmp_path):
    cache = Cache(tmp_path)
    cache.keep(Kept("u", "text", 1.0))
    (file,) = tmp_path.rglob("*.json")
    assert cache.kept("u") == Kept("u", "text", 1.0)
    for damage in (b"", b"{}", b'{"url": "u", "text": 3, "time": 1}', b"\xff"):
        file.write_bytes(damage)
        assert cache.kept("u") is None


def test_the_cache_s_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SILLOK_CACHE", str(tmp_path / "env"))
    assert Cache().root == tmp_path / "env"
    assert Cache(tmp_path / "arg").root == tmp_path / "arg"
    monkeypatch.delenv("SILLOK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert "sillok" in str(Cache().root)


def test_sites_and_wrong_settings(monkeypatch, connect):
    monkeypatch.setenv("SILLOK_ARXIV", "http://mirror.example/")
    assert Sites().arxiv == "http://mirror.example"
    assert Sites().delay == 3
    for delay in ("soon", "nan", "inf", "-1"):
        monkeypatch.setenv("SILLOK_ARXIV_DELAY", delay)
        with pytest.raises(ValueError, match=f"SILLOK_ARXIV_DELAY: '{delay}'"):
            Sites()
    monkeypatch.delenv("SILLOK_ARXIV_DELAY")
    for name in ("HF_ENDPOINT", "SILLOK_ARXIV", "SILLOK_ARXIV_API"):
        for address in ("nonsense", "ftp://x", "https://", "http://a b"):
            monkeypatch.setenv(name, address)
            with pytest.raises(ValueError, match=f"{name}: '.*' is no address"):
                Sites()
        monkeypatch.delenv(name)
    with pytest.raises(ValueError, match="tries: 0"):
        connect(tries=0)
    with pytest.raises(ValueError, match="timeout: 0"):
        connect(timeout=0)
    with pytest.raises(ValueError, match="delay: -1"):
        connect(delay=-1)
