"""What this machine has and lacks, for `sillok doctor`."""

from __future__ import annotations

import platform
import shutil
from typing import Any

import sillok
from sillok import papers
from sillok.record import Record, RecordError
from sillok.verify import fingerprint, needs, results


def examine(url: str | None = None) -> dict[str, Any]:
    """Facts about the installation; ``problems`` lists what is wrong, one line each."""
    problems = [str(problem) for problem in papers.catalogue().problems]
    machine = fingerprint.machine()
    extras = {
        extra: {"missing": list(needs.missing_packages(extra)), "install": needs.install_line(extra)}
        for extra in sorted(needs.extras())
        if extra not in ("all", "test", "lint", "docs")
    }
    record: dict[str, Any] = {"url": Record.address(url), "there": Record.exists(url)}
    if record["there"]:
        try:
            with Record.open(url, read_only=True) as opened:
                record |= {"runs": len(opened.runs(with_logs=False)), "papers": len(opened.papers())}
        except RecordError as error:
            problems.append(str(error))
    try:
        shipped = [{"machine": r.machine.data.get("name"), "runs": len(r.runs)} for r in results.shipped()]
    except ValueError as error:
        problems.append(f"shipped results: {error}")
        shipped = []
    return {
        "sillok": sillok.__version__,
        "python": platform.python_version(),
        "machine": machine,
        "gpu": needs.gpu_present(),
        "programs": {name: shutil.which(name) for name in ("bwrap", "espeak-ng", "chromium", "ffmpeg")},
        "extras": extras,
        "cards": len(papers.catalogue()),
        "trials": sum(bool(claim.trial) for card in papers.catalogue().values() for claim in card.claims),
        "record": record,
        "shipped": shipped,
        "problems": problems,
    }
