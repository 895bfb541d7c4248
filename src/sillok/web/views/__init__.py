"""The views: plain functions that give each page's data as typed objects."""

from sillok.web.views.digests import digest, digests, today
from sillok.web.views.families import families, family
from sillok.web.views.families import names as family_names
from sillok.web.views.machines import machine, machines
from sillok.web.views.marks import NotFound
from sillok.web.views.papers import paper
from sillok.web.views.runs import run, runs
from sillok.web.views.searching import search

__all__ = [
    "NotFound",
    "digest",
    "digests",
    "families",
    "family",
    "family_names",
    "machine",
    "machines",
    "paper",
    "run",
    "runs",
    "search",
    "today",
]
