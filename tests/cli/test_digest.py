"""`sillok digest summarise|write|deliver|daily` as a user runs them, offline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sillok
from sillok.digest import Digest

ROOT = Path(__file__).parents[2]
DAY = ROOT / "examples" / "day"
LOCAL = ("--listings", str(DAY / "listings.jsonl"), "--papers", str(DAY))


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SLACK", "SMTP", "MAIL", "OPENAI"))}
    env |= {"SILLOK_CACHE": str(folder / "cache"), "HF_ENDPOINT": "http://127.0.0.1:9"} | environment
    return subprocess.run(
        [sys.executable, "-m", "sillok.cli", "digest", *arguments],
        cwd=folder, env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_a_day_from_papers_to_feed(tmp_path: Path) -> None:
    done = run(tmp_path, "daily", "2024-12-04", *LOCAL, "--to", "atom", "--language", "ko")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line == (
        "2024-12-04: 2 papers, all in their own sentences, 0 sentences checked, 0 flagged; "
        "10 of 10 files changed; sent: atom"
    )
    found = sillok.read(tmp_path / "digests/2024/12/04.md")
    assert isinstance(found, Digest) and not found.warnings
    assert [(entry.id, entry.votes) for entry in found.entries] == [("2412.99902", 30), ("2412.99901", 12)]
    assert [section.name for section in found.entries[0].sections][-1] == "Note"
    assert (tmp_path / "digests/feed.xml").exists()
    again = run(tmp_path, "daily", "2024-12-04", *LOCAL, "--to", "atom")
    assert "0 of 10 files changed" in again.stdout


def test_summarise_then_write_then_deliver(tmp_path: Path) -> None:
    listed = str(DAY / "listings.jsonl")
    shown = run(tmp_path, "summarise", listed, "--papers", str(DAY), "--language", "en")
    assert shown.returncode == 0 and "- ***What's New***: We propose Arbor" in shown.stdout
    assert run(tmp_path, "summarise", listed, "--papers", str(DAY), "--out", "day.json").stdout == ""
    undated = run(tmp_path, "write", "day.json")
    assert (
        undated.returncode == 1
        and undated.stderr == "sillok: day.json: the file has no date; give one with --date\n"
    )
    done = run(tmp_path, "write", "day.json", "--date", "2024-12-04")
    assert done.returncode == 0 and done.stdout.splitlines()[0] == "digests/2024/12/04.md"
    same = run(tmp_path, "write", "day.json", "--date", "2024-12-04")
    assert all(line.endswith("(unchanged)") for line in same.stdout.splitlines())
    dry = run(tmp_path, "deliver", "2024-12-04", "--to", "slack", "--dry-run")
    assert dry.returncode == 0 and "2412.99902" in dry.stdout and '"header"' in dry.stdout
    failed = run(tmp_path, "deliver", "2024-12-04", "--to", "slack", "--to", "mail", "--to", "atom")
    assert failed.returncode == 1
    assert [line for line in failed.stderr.splitlines() if line.startswith("sillok: ")] == [
        "sillok: slack: SLACK_WEBHOOK_URL, or SLACK_BOT_TOKEN and a channel is not set in the environment",
        "sillok: mail: MAIL_FROM (or --from) is not set in the environment",
    ]


def test_a_digest_is_a_list_of_papers_too(tmp_path: Path) -> None:
    """A day without papers is one line and no error; so is a model without a key, with the papers' sentences."""
    (tmp_path / "none.jsonl").write_text("\n", "utf-8")
    done = run(tmp_path, "daily", "2024-12-07", "--listings", "none.jsonl", "--papers", str(DAY))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2024-12-07 (Saturday): no papers are listed; nothing was written or sent\n"
    assert not (tmp_path / "digests").exists()


def test_no_key_still_gives_a_digest(tmp_path: Path) -> None:
    done = run(tmp_path, "daily", "2024-12-04", *LOCAL, "--no-check", "--model", "openai/gpt-4o")
    assert done.returncode == 0, done.stderr
    assert (
        done.stderr.count("openai/gpt-4o: no key in the environment; the paper's own sentences instead") == 2
    )
    assert "모델 서비스의 키가 없음" in (tmp_path / "digests/2024/12/04.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("daily", "2099-01-01"), "sillok: date: 2099-01-01 lies in the future"),
        (("daily", "noday"), "sillok: date: 'noday' is no day; YYYY-MM-DD, today and yesterday are accepted"),
        (("daily", "2024-12-04", *LOCAL, "--language", "!"), "sillok: language: '!' is no tag"),
        (("daily", "2024-12-04", *LOCAL, "--prices", "free"), "sillok: --prices: 'free' is not two numbers"),
        (("daily", "2024-12-04", *LOCAL, "-M", "x"), "sillok: -M: 'x' is not KEY=VALUE"),
        (
            ("daily", "2024-12-04", *LOCAL, "--no-check", "--model", "gpt"),
            "sillok: model: 'gpt' cannot be used",
        ),
        (("deliver", "2024-12-04", "--to", "slack"), "sillok: digests/2024/12/04.md: no such file"),
        (("deliver", "2024-12-04", "--to", "pigeon"), "sillok: "),
        (("summarise", "no.json"), "sillok: "),
        (("write", "no.json"), "sillok: "),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(line) and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "digests").exists()
