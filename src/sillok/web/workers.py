"""The site in several processes: uvicorn starts each anew, so what they share goes through the environment."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Sequence

from fastapi import FastAPI

from sillok.web.app import application

SETTINGS = "SILLOK_SITE"


def hand_over(record: str | None, url: str | None, hosts: Sequence[str] | None) -> None:
    """Tell the workers what to serve; they share a secret, so that each knows the forms that another one sent."""
    given = {"record": record, "url": url, "hosts": hosts, "secret": secrets.token_hex(32)}
    os.environ[SETTINGS] = json.dumps(given)


def prompt() -> None:
    """Let threads take turns often: one that takes a request shall not wait 5 ms, as long as a page takes to make."""
    sys.setswitchinterval(0.001)


def worker() -> FastAPI:
    """The site of one worker: what `hand_over` said."""
    given = json.loads(os.environ[SETTINGS])
    prompt()
    return application(
        given["record"], url=given["url"], hosts=given["hosts"], secret=bytes.fromhex(given["secret"])
    )
