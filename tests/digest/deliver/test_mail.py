"""E-mail, against a real SMTP server on loopback."""

from __future__ import annotations

import email
import email.policy
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from sillok.digest.deliver import DeliveryError, Ledger, Targets, deliver
from sillok.digest.deliver.mail import Server, message, send_mail
from sillok.digest.summarise import Summary

DAY = date(2024, 12, 4)
SENDER, TO = "Papers <papers@example.org>", ("a@example.org", "나무 <b@example.org>")
Make = Callable[..., Summary]


class Box:
    """Keeps what comes in; refuses where it is told to."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.answer = "250 OK"
        self.refused: set[str] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return "550 verysecret no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.got.append((envelope, server.transport.get_extra_info("sslcontext") is not None))
        return self.answer

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"verysecretpassword", handled=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def trusted(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def server(box: Box, authority: trustme.CA) -> Iterator[Callable[..., int]]:
    started: list[Controller] = []

    def start(security: str, auth: bool = True) -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": port}
        if auth:
            options |= {"authenticator": box.authenticate, "auth_require_tls": security == "starttls"}
        if security == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        elif security == "tls":
            options |= (
                {"ssl_context": context, "auth_require_tls": False} if auth else {"ssl_context": context}
            )
        controller = Controller(box, **options)
        controller.start()
        started.append(controller)
        return port

    yield start
    for controller in started:
        controller.stop()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_one_message_to_all_text_and_html(
    server: Any, box: Box, trusted: Any, summary: Make, tmp_path: Path, security: Any
) -> None:
    to = Server("127.0.0.1", server(security), security, "me", "verysecretpassword")
    day = [summary("2412.00002", 38, "제목 <b>"), summary()]
    ledger = Ledger(tmp_path / "l")
    assert send_mail(to, DAY, day, SENDER, TO, ledger, context=trusted) == 1
    assert send_mail(to, DAY, day, SENDER, TO, Ledger(tmp_path / "l"), context=trusted) == 0
    ((envelope, encrypted),) = box.got
    assert encrypted and box.logins == [(b"me", b"verysecretpassword")]
    assert envelope.mail_from == "papers@example.org" and envelope.rcpt_tos == [
        "a@example.org",
        "b@example.org",
    ]
    found = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert found["Subject"] == "Daily Papers (2024-12-04): 2"
    assert found["List-Id"] == "Daily Papers <daily-papers.example.org>"
    assert found["To"] == "a@example.org, 나무 <b@example.org>"
    text, html = found.get_body(("plain",)), found.get_body(("html",))
    assert found.get_content_type() == "multipart/alternative"
    assert text is not None and "### [제목 \\<b>](https://arxiv.org/abs/2412.00002)" in text.get_content()
    assert (
        html is not None
        and '<html lang="ko">' in html.get_content()
        and "제목 &lt;b&gt;" in html.get_content()
    )
    assert all(len(line) <= 998 for line in envelope.content.split(b"\r\n"))


def test_the_message_id_is_the_days(summary: Make) -> None:
    def id(day: date = DAY, to: Any = TO, votes: int = 3) -> str:
        return str(message(day, [summary(votes=votes)], SENDER, to)["Message-ID"])

    assert id() == id(votes=4) == id(to=tuple(reversed(TO)))
    assert len({id(), id(day=date(2024, 12, 5)), id(to=TO[:1])}) == 3
    assert id().endswith("@example.org>")


def test_a_wrong_password(server: Any, trusted: Any, summary: Make, tmp_path: Path) -> None:
    to = Server("127.0.0.1", server("starttls"), "starttls", "me", "verysecretother")
    with pytest.raises(DeliveryError, match=r"^the server refused user name and password \(535\)$") as error:
        send_mail(to, DAY, [summary()], SENDER, TO, Ledger(tmp_path / "l"), context=trusted)
    assert "verysecret" not in repr(to) + repr(error.value) and error.value.__suppress_context__
    assert not error.value.unknown


def test_a_certificate_that_is_not_trusted_gets_no_password(
    server: Any, box: Box, summary: Make, tmp_path: Path
) -> None:
    to = Server("127.0.0.1", server("starttls"), "starttls", "me", "verysecretpassword")
    with pytest.raises(DeliveryError, match="certificate is not trusted"):
        send_mail(to, DAY, [summary()], SENDER, TO, Ledger(tmp_path / "l"))
    assert box.logins == [] and box.got == []


def test_refusals_leave_the_day_to_be_sent(server: Any, box: Box, summary: Make, tmp_path: Path) -> None:
    to = Server("127.0.0.1", server("none", auth=False), "none")
    ledger = Ledger(tmp_path / "l")
    box.answer = "554 verysecret rejected"
    with pytest.raises(DeliveryError, match="^the server answered 554$"):
        send_mail(to, DAY, [summary()], SENDER, TO, ledger)
    box.answer, box.refused = "250 OK", {"a@example.org", "b@example.org"}
    with pytest.raises(DeliveryError, match=r"refused all addresses \(550\)"):
        send_mail(to, DAY, [summary()], SENDER, TO, ledger)
    box.refused = {"a@example.org"}
    with pytest.raises(DeliveryError, match="sent, but the server refused 1 of 2"):
        send_mail(to, DAY, [summary()], SENDER, TO, ledger)
    box.refused = set()
    assert send_mail(to, DAY, [summary()], SENDER, TO, ledger) == 0 and len(box.got) == 1


def test_no_server_and_no_starttls(server: Any, summary: Make, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    with pytest.raises(DeliveryError, match="cannot be reached"):
        send_mail(Server("127.0.0.1", 9), DAY, [summary()], SENDER, TO, ledger)
    plain = Server("127.0.0.1", server("none", auth=False), "starttls")
    with pytest.raises(DeliveryError, match="no STARTTLS"):
        send_mail(plain, DAY, [summary()], SENDER, TO, ledger)


@pytest.mark.parametrize("address", ["nobody", "a@b\r\nBcc: c@d", "", "a b@c.de", "<a@b.de> c"])
def test_addresses_that_are_none(summary: Make, address: str) -> None:
    with pytest.raises(ValueError, match="address: .* is no e-mail address"):
        message(DAY, [summary()], SENDER, [address])
    with pytest.raises(ValueError, match="address: "):
        message(DAY, [summary()], address, TO)


def test_a_password_never_goes_in_the_open() -> None:
    with pytest.raises(ValueError, match="in the open"):
        Server("mail.example.org", 25, "none", "me", "verysecretpassword")
    with pytest.raises(ValueError, match="security: 'ssl'"):
        Server("mail.example.org", 25, "ssl")  # type: ignore[arg-type]


def test_through_the_environment(server: Any, box: Box, summary: Make, tmp_path: Path) -> None:
    values = {
        "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server("none", auth=False)), "SMTP_SECURITY": "none",
        "MAIL_FROM": SENDER, "MAIL_TO": "a@example.org, b@example.org",
    }  # fmt: skip
    said: list[str] = []
    assert deliver(DAY, [summary()], tmp_path, ["mail"], Targets(environment=values), say=said.append) == []
    assert said == ["mail: sent to 2"] and len(box.got) == 1
    for missing in ("SMTP_HOST", "MAIL_FROM", "MAIL_TO"):
        rest = {key: value for key, value in values.items() if key != missing}
        (line,) = deliver(DAY, [summary()], tmp_path, ["mail"], Targets(environment=rest))
        assert missing in line
    (line,) = deliver(
        DAY, [summary()], tmp_path, ["mail"], Targets(environment={**values, "SMTP_USER": "me"})
    )
    assert "SMTP_PASSWORD is not" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [("SMTP_PORT", "smtp"), ("SMTP_PORT", "0"), ("SMTP_PORT", "70000"), ("SMTP_SECURITY", "ssl")],
)
def test_nonsense_in_the_environment_is_named(summary: Make, tmp_path: Path, name: str, value: str) -> None:
    values = {"SMTP_HOST": "127.0.0.1", "MAIL_FROM": SENDER, "MAIL_TO": "a@example.org", name: value}
    (line,) = deliver(DAY, [summary()], tmp_path, ["mail"], Targets(environment=values))
    assert line.startswith(f"mail: {name}: '{value}' is no")
    assert not (tmp_path / ".delivered.jsonl").exists()


def test_two_deliveries_at_once_send_one_message(
    server: Any, box: Box, summary: Make, tmp_path: Path
) -> None:
    values = {
        "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server("none", auth=False)), "SMTP_SECURITY": "none",
        "MAIL_FROM": SENDER, "MAIL_TO": "a@example.org",
    }  # fmt: skip
    said: list[str] = []

    def send(_: int) -> list[str]:
        return deliver(DAY, [summary()], tmp_path, ["mail"], Targets(environment=values), say=said.append)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(send, range(3))) == [[], [], []]
    assert len(box.got) == 1 and sorted(said) == ["mail: sent before"] * 2 + ["mail: sent to 1"]


def test_a_dry_run_sends_nothing_and_needs_no_secret(summary: Make, tmp_path: Path) -> None:
    said: list[str] = []
    targets = Targets(sender=SENDER, recipients=TO, environment={})
    assert (
        deliver(DAY, [summary()], tmp_path, ["mail", "slack", "atom"], targets, dry_run=True, say=said.append)
        == []
    )
    text = "\n".join(said)
    assert "Subject: Daily Papers (2024-12-04): 1" in text and "### [Arbor]" in text
    assert '"type": "header"' in text and f"would write {tmp_path / 'feed.xml'}" in text
    assert list(tmp_path.iterdir()) == []
