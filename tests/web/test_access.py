"""Tokens, sessions and tickets."""

from __future__ import annotations

import time

import pytest

from sillok.web.access import SESSION_SECONDS, Access

TOKEN = "sixteen or more characters"


def test_only_the_token_is_the_token() -> None:
    access = Access(TOKEN)
    assert access.open and access.knows(TOKEN)
    for other in ("", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "é", "\ud800"):
        assert not access.knows(other)
    assert not Access().open and not Access().knows("")


@pytest.mark.parametrize(
    "token", ["", "short", "fifteen letters", "with a newline\n inside", "한국어로 쓴 열여섯 글자 토큰입니다"]
)
def test_a_weak_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="at least 16 printable ASCII characters"):
        Access(token)


def test_a_session_is_of_its_process_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    access, other = Access(TOKEN), Access(TOKEN)
    session = access.session()
    assert access.holds(session) and not other.holds(session)
    ends, _, signature = session.partition(".")
    for forged in ("", ".", ends, f"{int(ends) + 1}.{signature}", f"{ends}.{signature[:-1]}", f"²{session}"):
        assert not access.holds(forged)
    later = time.time() + SESSION_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert not access.holds(session)


def test_a_ticket_is_for_one_reader() -> None:
    access = Access(TOKEN)
    ticket = access.ticket("nonce", "session")
    assert access.accepts(ticket, "nonce", "session")
    assert not access.accepts(ticket, "other", "session") and not access.accepts(ticket, "nonce", "")
    assert not access.accepts(access.ticket("", ""), "", ""), "a reader without a nonce has no ticket"
    assert not Access(TOKEN).accepts(ticket, "nonce", "session")
