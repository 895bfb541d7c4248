"""Delivery by e-mail: one message a day, text and HTML, over SMTP with STARTTLS or TLS."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date as Date
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime
from typing import Literal, get_args

from sillok.digest.deliver.ledger import DeliveryError, Ledger, fingerprint
from sillok.digest.model import Digest
from sillok.digest.publish.page import day_page
from sillok.digest.summarise.summary import Summary
from sillok.digest.writer import write

Security = Literal["starttls", "tls", "none"]
SECURITIES: tuple[str, ...] = get_args(Security)


@dataclass(frozen=True, slots=True)
class Server:
    """An SMTP server; the password is not shown.

    Raises:
        ValueError: a security that is none of starttls, tls, none; a password that would go over the net open.
    """

    host: str
    port: int
    security: Security = "starttls"
    user: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        if self.security not in SECURITIES:
            raise ValueError(f"security: {self.security!r} is none of {', '.join(SECURITIES)}")
        if self.security == "none" and self.user and not _loopback(self.host):
            raise ValueError("security: 'none' with a user name would send the password in the open")

    def __repr__(self) -> str:
        return f"Server(host={self.host!r}, port={self.port}, security={self.security!r}, user={self.user!r})"


def message(
    date: Date, summaries: Sequence[Summary], sender: str, recipients: Sequence[str], *, list_id: str = ""
) -> EmailMessage:
    """Return the day's message; its Message-ID is the same for the same day, sender and recipients.

    Raises:
        ValueError: an address that is none, or no recipient.
    """
    domain = _domain(sender)
    for recipient in recipients:
        _domain(recipient)
    if not recipients:
        raise ValueError("recipients: no address given")
    title = f"Daily Papers ({date.isoformat()})"
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = f"{title}: {len(summaries)}"
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(localtime())
    number = fingerprint(sender, *sorted(recipients))
    mail["Message-ID"] = f"<sillok.{date.isoformat()}.{number}@{domain}>"
    mail["List-Id"] = f"Daily Papers <{list_id or 'daily-papers.' + domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    text = write(Digest(date, tuple(one.entry() for one in summaries)))
    mail.set_content(text, cte="base64")
    mail.add_alternative(day_page(date, summaries), subtype="html", cte="base64")
    return mail


def send_mail(
    server: Server,
    date: Date,
    summaries: Sequence[Summary],
    sender: str,
    recipients: Sequence[str],
    ledger: Ledger,
    *,
    again: bool = False,
    timeout: float = 60.0,
    context: ssl.SSLContext | None = None,
) -> int:
    """Send the day to all recipients as one message; return 1 if it was sent now, 0 if it was before.

    Args:
        again: send also if the fate of an earlier try is unknown; what was sent is never sent twice.
        context: what certificates are trusted; the system's by default.

    Raises:
        DeliveryError: the server did not take the message.
        ValueError: an address that is none.
    """
    mail = message(date, summaries, sender, recipients)
    key = f"mail:{fingerprint(sender, *sorted(recipients))}:{date.isoformat()}"
    if not ledger.begin(key, again):
        return 0
    handed_over = False
    try:
        trusted = context or ssl.create_default_context()
        with _connect(server, timeout, trusted) as client:
            if server.security == "starttls":
                client.starttls(context=trusted)
            if server.user:
                client.login(server.user, server.password)
            handed_over = True
            refused = client.send_message(mail, from_addr=_bare(sender), to_addrs=[*map(_bare, recipients)])
    except (smtplib.SMTPException, OSError) as error:
        # An answer of the server tells that it did not take the message; a lost connection tells nothing.
        answered = isinstance(error, (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused))
        unknown = handed_over and not answered
        ledger.note(key, "sending" if unknown else "failed")
        raise DeliveryError(_said(error), unknown=unknown) from None
    ledger.note(key, "sent", str(mail["Message-ID"]))
    if refused:
        raise DeliveryError(f"sent, but the server refused {len(refused)} of {len(recipients)} addresses")
    return 1


def _connect(server: Server, timeout: float, context: ssl.SSLContext) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=timeout)


def _said(error: BaseException) -> str:
    """Return what went wrong without the server's words, which may repeat a user name or a password."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the server refused user name and password ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _ in error.recipients.values()})
        return f"the server refused all addresses ({', '.join(map(str, codes))})"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server answered {error.smtp_code}"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "the server offers no STARTTLS or no login"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "the server's certificate is not trusted"
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "the server did not answer in time"
    if isinstance(error, (ConnectionRefusedError, socket.gaierror)):
        return "the server cannot be reached"
    return f"the connection failed ({type(error).__name__})"


def _domain(address: str) -> str:
    return _parsed(address).domain


def _bare(address: str) -> str:
    return _parsed(address).addr_spec


def _parsed(address: str) -> Address:
    match = re.fullmatch(r"\s*(?:[^<>\r\n]*<)?([^<>\s@]+@[^<>\s@]+\.?[^<>\s@]+)>?\s*", address)
    if match is None:
        raise ValueError(f"address: {address!r} is no e-mail address such as 'papers@example.org'")
    try:
        return Address(addr_spec=match[1])
    except Exception:  # the parser of the standard library raises IndexError and others for odd addresses
        raise ValueError(f"address: {address!r} is no e-mail address such as 'papers@example.org'") from None


def _loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
