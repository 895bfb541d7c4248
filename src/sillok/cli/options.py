"""What the commands' options accept, and the exit codes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

ERROR, UNMET, INTERRUPTED = 1, 3, 130  # 2 is Typer's own, for wrong usage


class Scale(StrEnum):
    smoke = "smoke"
    here = "here"
    full = "full"


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Wanted(StrEnum):
    upheld = "upheld"
    not_upheld = "not upheld"
    inconclusive = "inconclusive"
    out_of_reach = "out of reach"
    failed = "failed"


class Language(StrEnum):
    en = "en"
    ko = "ko"


RecordOption = Annotated[
    str | None,
    typer.Option(
        "--record", envvar="SILLOK_RECORD", metavar="URL", help="The record: an SQLAlchemy URL or a path."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
