"""The digest desk: what is read, what is refused, and that nothing in a digest is obeyed or kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from sillok.record import Record
from sillok.web import application
from sillok.web.bodies import MOST_DIGEST, shown_name
from sillok.web.work import DeskView

from . import samples

TOKEN = "a token of the tests alone"
STRAY = samples.DIGEST.replace("2025-02-03", "2025-02-05").replace("Vote: 17", "Vote: many")


def ticket(client: Any, path: str = "/desk") -> str:
    """The ticket of a form; its cookie stays with the client."""
    page = client.get(path).text
    found = re.search(r'name="ticket" value="([0-9a-f]{64})"', page)
    assert found, page[:2000]
    return found[1]


def hand_in(client: Any, data: bytes, name: str = "digest.md", **fields: str) -> Any:
    """Upload a file on the desk."""
    return client.post("/desk", data={"ticket": ticket(client), **fields}, files={"file": (name, data)})


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[tuple[TestClient, Record]]:
    """A site of its own that was opened with a token."""
    with (
        Record.open(tmp_path / "r.sqlite") as record,
        TestClient(application(record, token=TOKEN), base_url="http://127.0.0.1:8000") as client,
    ):
        yield client, record


def log_in(client: Any) -> None:
    answer = client.post(
        "/login", data={"ticket": ticket(client, "/login"), "token": TOKEN}, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text


def test_an_uploaded_digest_is_read_and_matched(client: httpx.Client) -> None:
    page = hand_in(client, STRAY.encode(), "a day.md")
    assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
    assert "What was read: a day.md" in page.text
    assert "3 entries: 1 with a card, 1 known from the record, 0 new, 1 without a paper" in page.text
    assert 'href="/papers/2411.19870"' in page.text and "Trees of tokens" in page.text
    assert re.search(r'<span class="n">line 7</span>', page.text), "a warning by its line"
    assert "Log in to keep" not in page.text and "<code>sillok read a day.md</code>" in page.text


def test_a_pasted_digest_is_read_the_same(client: httpx.Client) -> None:
    pasted = client.post(
        "/desk", data={"ticket": ticket(client), "text": STRAY.replace("\n", "\r\n")}, files={"x": ("", b"")}
    )
    uploaded = hand_in(client, STRAY.encode())
    body = [re.search(r"<main.*</main>", page.text, re.S)[0] for page in (pasted, uploaded)]  # type: ignore[index]
    assert body[0] == body[1] and "line 7" in body[0]
    posted = client.post("/desk", data={"ticket": ticket(client), "text": STRAY})
    assert "3 entries" in posted.text, "a form without a file is accepted too"


def test_the_program_face_gives_the_same_as_json(client: httpx.Client) -> None:
    answer = client.post("/api/desk", json={"text": STRAY, "name": "x.md"})
    view = DeskView.model_validate(answer.json())
    assert view.counts == {"card": 1, "record": 1, "new": 0, "no paper": 1} and not view.stored
    assert [one.line for one in view.warnings] == [7, 22]
    assert view.entries[1].claims == ["traffic"] and view.entries[1].marks[0].verdict == "upheld"
    assert view.entries[0].summary is not None and view.entries[0].summary.source == "digest"


def test_nothing_in_a_digest_is_obeyed(client: httpx.Client, record: Record) -> None:
    before = (len(record.digests()), len(record.papers()))
    page = hand_in(client, samples.HOSTILE.encode(), "../../<script>.md")
    assert page.status_code == 200
    main = page.text.split("<main")[1]
    assert (
        "<script" not in main
        and "<img" not in main
        and 'href="javascript' not in main
        and "<style" not in main
    )
    assert (
        'href="https://evil' not in main
        and 'src="' not in main
        and "&lt;script&gt;alert(1)&lt;/script&gt;" in main
    )
    assert "_script_.md" in main and ".." not in main.split("</h2>")[0]
    assert (len(record.digests()), len(record.papers())) == before, "nothing is kept"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "Choose a file, or paste a text."),
        (b"a\0b", "binary data, not a Markdown file (a NUL byte at offset 1)"),
        ("\ufeffhello".encode("utf-16"), "UTF-16 text; save it as UTF-8"),
        ("이 논문은 새로운 방법을 제안합니다. ".encode("euc-kr") * 40, "not UTF-8"),
    ],
)
def test_what_is_no_text_gives_one_clear_line(client: httpx.Client, data: bytes, line: str) -> None:
    page = hand_in(client, data, "odd.md")
    assert page.status_code == 422
    (alert,) = re.findall(r'<p class="aside" role="alert">(.*?)</p>', page.text, re.S)
    assert line in alert and "Traceback" not in page.text
    assert 'name="file"' in page.text, "the form is there to try again"


def test_odd_texts_are_read(client: httpx.Client) -> None:
    marked = hand_in(client, b"\xef\xbb\xbf" + STRAY.replace("\n", "\r").encode())
    assert marked.status_code == 200 and "3 entries" in marked.text
    cut = hand_in(client, STRAY.encode() + "가".encode()[:2])
    assert "ends in the middle of a character" in cut.text
    nothing = hand_in(client, b"no digest at all")
    assert nothing.status_code == 200 and "No entry of a digest was found" in nothing.text


def test_what_is_too_large_is_refused_with_one_line(client: httpx.Client) -> None:
    just = hand_in(client, b"a" * MOST_DIGEST)
    assert just.status_code == 200
    over = hand_in(client, b"a" * (MOST_DIGEST + 1))
    assert over.status_code == 413 and "more than the limit" in over.text
    for path in ("/desk", "/api/desk", "/nowhere"):
        answer = client.post(path, content=b"a" * (3 * MOST_DIGEST))
        assert answer.status_code == 413 and "2 MB" in answer.text and answer.text.count("\n") <= 1
    streamed = client.post("/api/desk", content=(b"a" * 65536 for _ in range(100)))
    assert streamed.status_code == 413, "a body that does not say its length"


def test_a_form_needs_its_ticket_and_its_own_site(client: httpx.Client, server: str) -> None:
    good = ticket(client)
    file = {"file": ("d.md", STRAY.encode())}
    for fields in ({}, {"ticket": ""}, {"ticket": "0" * 64}, {"ticket": good[:-1]}, {"ticket": "é"}):
        answer = client.post("/desk", data=fields, files=file)
        assert answer.status_code == 403 and "open its page again" in answer.text
    with httpx.Client(base_url=server, timeout=60) as other:
        assert other.post("/desk", data={"ticket": good}, files=file).status_code == 403, "without its cookie"
        ticket(other)
        assert other.post("/desk", data={"ticket": good}, files=file).status_code == 403, (
            "another reader's ticket"
        )
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[bad"},
        {"origin": f"{server}0"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert client.post("/desk", data={"ticket": good}, files=file, headers=headers).status_code == 403
        assert client.post("/api/desk", json={"text": STRAY}, headers=headers).status_code == 403
    own = {"origin": server, "sec-fetch-site": "same-origin"}
    assert client.post("/desk", data={"ticket": good}, files=file, headers=own).status_code == 200


def test_bodies_of_other_kinds_are_refused(client: httpx.Client) -> None:
    ticket(client)
    json = client.post("/desk", json={"text": STRAY})
    assert json.status_code == 415
    broken = client.post("/desk", content=b"--x\r\n", headers={"content-type": "multipart/form-data"})
    assert broken.status_code == 400 and "no form that can be read" in broken.text
    many = client.post("/desk", files=[("file", (f"{n}.md", b"x")) for n in range(9)])
    assert many.status_code == 400
    for content, kind in (
        (b'{"text": "\\ud800"}', "application/json"),
        (b'{"text": 3}', "application/json"),
        (b'{"text": "a"', "application/json"),
        (b'{"text": "a"}', "text/plain"),
        (b"\xff\xfe", "application/json"),
    ):
        answer = client.post("/api/desk", content=content, headers={"content-type": kind})
        assert answer.status_code == 422, answer.text


def test_a_site_without_a_token_keeps_nothing_and_has_no_other_form(client: httpx.Client) -> None:
    assert client.post("/api/desk", json={"text": STRAY, "store": True}).status_code == 401
    assert hand_in(client, STRAY.encode(), keep="1").status_code == 403
    told = client.get("/api/openapi.json").json()["paths"]
    assert {path for path, methods in told.items() if "post" in methods} == {"/desk", "/api/desk"}
    for path in ("/login", "/runs/queue", "/api/runs/queue", "/logout"):
        assert client.post(path, data={"token": TOKEN}).status_code in (404, 405), path
    runs = client.get("/runs").text
    assert "sillok serve --allow-runs" in runs and "sillok verify ID" in runs
    assert "/login" not in client.get("/papers/2411.19870").text


def test_who_is_logged_in_may_keep_a_digest(keeper: tuple[TestClient, Record]) -> None:
    client, record = keeper
    page = hand_in(client, STRAY.encode())
    assert "Log in to keep it" in page.text and 'name="keep"' not in page.text
    assert hand_in(client, STRAY.encode(), keep="1").status_code == 403 and record.digests() == []
    log_in(client)
    page = hand_in(client, STRAY.encode(), "day.md")
    fields = dict(re.findall(r'<input type="hidden" name="(ticket|name)" value="([^"]*)"', page.text))
    text = re.search(r'<input type="hidden" name="text" value="([^"]*)"', page.text)
    assert text and record.digests() == [], "nothing is kept before the button is used"
    from html import unescape

    kept = client.post(
        "/desk", data={**fields, "text": unescape(text[1]), "keep": "1"}, files={"x": ("", b"")}
    )
    assert "It is in the record now" in kept.text
    (stored,) = record.digests()
    assert (stored.date, stored.source, stored.text) == ("2025-02-05", "day.md", STRAY)
    assert client.get("/digests/2025-02-05").status_code == 200


def test_a_program_keeps_a_digest_with_the_token(keeper: tuple[TestClient, Record]) -> None:
    client, record = keeper
    log_in(client)
    ask = {"text": STRAY, "name": "/etc/passwd", "store": True}
    assert client.post("/api/desk", json=ask).status_code == 401, "cookies count for nothing under /api"
    for wrong in ("Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer \xe9"):
        answer = client.post("/api/desk", json=ask, headers={"authorization": wrong.encode("latin-1")})
        assert answer.status_code == 401 and record.digests() == []
    answer = client.post("/api/desk", json=ask, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.json()["stored"] and record.digests()[0].source == "passwd"


def test_names_of_files_are_shown_and_no_more() -> None:
    assert shown_name("../../etc/passwd") == "passwd" and shown_name(r"C:\dir\day.md") == "day.md"
    assert shown_name("오늘 digest.md") == "오늘 digest.md" and shown_name("a\nb\x00<b>") == "a_b__b_"
    assert shown_name("") == "digest.md" and len(shown_name("a" * 500)) == 80
