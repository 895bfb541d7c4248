"""A site on loopback, and clients of it that lose no time."""

from __future__ import annotations

import pytest

import papers_site
from sillok.digest.fetch import Client, Sites


@pytest.fixture
def site():
    with papers_site.serve() as running:
        yield running


@pytest.fixture
def said():
    """The lines that clients reported."""
    return []


@pytest.fixture
def connect(site, tmp_path, said):
    """Make a client of the site; all share one cache."""
    clients = []

    def make(delay=0.0, **options):
        sites = Sites(site.url, site.url, site.url, delay)
        options = {"backoff": 0.001, "tries": 3, "report": said.append} | options
        clients.append(Client(tmp_path / "cache", sites, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
