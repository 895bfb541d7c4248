"""Slack, against an endpoint on loopback that counts as Slack does."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from sillok.digest.deliver import DeliveryError, Ledger, Targets, deliver
from sillok.digest.deliver.blocks import MAX_BLOCKS, MAX_TEXT, mrkdwn, pieces
from sillok.digest.deliver.slack import send_thread, send_webhook
from sillok.digest.publish import write_day
from sillok.digest.summarise import Summary

DAY = date(2024, 12, 4)
TOKEN = "xoxb-verysecret-token"
Make = Callable[..., Summary]


@dataclass
class Slack:
    """What Slack got, and how it answers: (status, body, headers) in turn, then as usual."""

    port: int = 0
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    delay: float = 0.0

    @property
    def hook(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/B0/verysecretpath"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"


@pytest.fixture
def slack() -> Iterator[Slack]:
    found = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            is_json = "json" in self.headers["Content-Type"]
            body = json.loads(raw) if is_json else {key: value[0] for key, value in parse_qs(raw).items()}
            if isinstance(body.get("blocks"), str):
                body["blocks"] = json.loads(body["blocks"])
            hook = self.path.startswith("/services/")
            usual = (
                200,
                "ok" if hook else json.dumps({"ok": True, "ts": f"17.{len(found.got)}", "channel": "C"}),
                {},
            )
            status, text, headers = found.answers.pop(0) if found.answers else usual
            if status == 200:
                found.got.append((self.path, body))
            time.sleep(found.delay)
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())
            except OSError:
                pass

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.port = server.server_address[1]
    yield found
    server.shutdown()
    server.server_close()


def ledger(folder: Path) -> Ledger:
    return Ledger(folder / ".delivered.jsonl")


def thread(slack: Slack, day: list[Summary], folder: Path, **options: Any) -> int:
    return send_thread(TOKEN, "#papers", DAY, day, ledger(folder), base_url=slack.api, **options)


def test_a_thread_has_the_day_first_and_a_reply_for_each_paper(
    slack: Slack, summary: Make, tmp_path: Path
) -> None:
    day = [summary("2412.00002", 38, "A <b> & *c* | d"), summary()]
    assert thread(slack, day, tmp_path) == 3
    head, *replies = [body for _, body in slack.got]
    assert "thread_ts" not in head and head["channel"] == "#papers"
    assert [body["thread_ts"] for body in replies] == ["17.0", "17.0"]
    assert head["blocks"][0]["text"]["text"] == "Daily Papers (2024-12-04)"
    listed = head["blocks"][1]["text"]["text"].split("\n")
    assert listed[0] == "▲38 <https://arxiv.org/abs/2412.00002|A &lt;b&gt; &amp; *c* ¦ d>"
    texts = [block["text"]["text"] for block in replies[1]["blocks"]]
    assert texts[1] == "*What's New*: 2412.00001: 나무를 *심는* 새로운 방법입니다. [⚠ 논문에서 확인되지 않음]"
    assert thread(slack, day, tmp_path) == 0 and len(slack.got) == 3


def test_a_webhook_sends_it_once(slack: Slack, summary: Make, tmp_path: Path) -> None:
    assert send_webhook(slack.hook, DAY, [summary()], ledger(tmp_path)) == 1
    assert send_webhook(slack.hook, DAY, [summary()], ledger(tmp_path)) == 0
    assert send_webhook(slack.hook, date(2024, 12, 5), [summary()], ledger(tmp_path)) == 1
    assert [path for path, _ in slack.got] == ["/services/T0/B0/verysecretpath"] * 2
    assert slack.got[0][1]["text"] == "Daily Papers (2024-12-04): 1"


def test_slacks_limits_are_kept_and_nothing_is_lost(slack: Slack, summary: Make, tmp_path: Path) -> None:
    words = " ".join(f"word{n} & <x>." for n in range(1500))
    day = [
        summary(f"2412.{n:05d}", n, f"Title {n} " + "x" * 400, sections=(("A", words),)) for n in range(1, 9)
    ]
    sent = send_webhook(slack.hook, DAY, day, ledger(tmp_path))
    assert sent == len(slack.got) > 1
    blocks = [block for _, body in slack.got for block in body["blocks"]]
    assert all(len(body["blocks"]) <= MAX_BLOCKS for _, body in slack.got)
    texts = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    assert all(0 < len(text) <= MAX_TEXT for text in texts)
    assert re.findall(r"word\d+", " ".join(texts)) == re.findall(r"word\d+", words) * 8
    assert thread(slack, [summary(sections=(("A", words * 8),))], tmp_path) == 4


def test_a_limited_call_is_made_again(slack: Slack, summary: Make, tmp_path: Path) -> None:
    limited = (429, json.dumps({"ok": False, "error": "ratelimited"}), {"Retry-After": "0"})
    slack.answers = [limited, limited]
    assert thread(slack, [summary()], tmp_path) == 2
    slack.answers = [limited]
    assert send_webhook(slack.hook, DAY, [summary()], ledger(tmp_path)) == 1


def test_a_run_goes_on_in_the_same_thread(slack: Slack, summary: Make, tmp_path: Path) -> None:
    """The second reply is refused; the next run posts it and the third, below the same head."""
    day = [summary(f"2412.0000{n}", n) for n in (3, 2, 1)]
    usual = [(200, json.dumps({"ok": True, "ts": f"5.{n}"}), {}) for n in range(2)]
    slack.answers = [*usual, (500, "", {})]
    with pytest.raises(DeliveryError):
        thread(slack, day, tmp_path)
    assert len(slack.got) == 2
    assert thread(slack, day, tmp_path) == 2
    assert [body.get("thread_ts") for _, body in slack.got] == [None, "5.0", "5.0", "5.0"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, json.dumps({"ok": False, "error": "invalid_auth"}), {}), "Slack answered invalid_auth"),
        ((200, json.dumps({"ok": False, "error": TOKEN}), {}), "Slack answered an error"),
        ((500, "<html>verysecret", {}), "Slack"),
    ],
)
def test_refusals_are_one_line_without_secrets(
    slack: Slack, summary: Make, tmp_path: Path, answer: Any, message: str
) -> None:
    slack.answers = [answer]
    with pytest.raises(DeliveryError, match=message) as error:
        thread(slack, [summary()], tmp_path)
    assert "verysecret" not in str(error.value) and "\n" not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_secrets_stay_out_of_logs_errors_and_files(
    slack: Slack, summary: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    """Even with everything logged at the lowest level, and with an endpoint that is not there."""
    write_day(DAY, [summary()], tmp_path)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("slack_sdk").setLevel(logging.DEBUG)
        for url in (slack.hook, "http://127.0.0.1:9/services/verysecretpath", "verysecret no url"):
            targets = Targets(environment={"SLACK_WEBHOOK_URL": url})
            failures = deliver(DAY, [summary()], tmp_path, ["slack"], targets)
            assert len(failures) == (0 if url == slack.hook else 1)
            assert "verysecret" not in "".join(failures) and "verysecret" not in repr(targets)
        environment = {"SLACK_BOT_TOKEN": TOKEN, "SLACK_CHANNEL": "C1", "SLACK_API_URL": slack.api}
        assert deliver(DAY, [summary()], tmp_path, ["slack"], Targets(environment=environment)) == []
    said = capsys.readouterr()
    written = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file())
    assert "verysecret" not in caplog.text + said.out + said.err + written
    assert len(slack.got) == 3


def test_a_message_whose_fate_is_unknown_is_not_sent_again_by_itself(
    slack: Slack, summary: Make, tmp_path: Path
) -> None:
    slack.delay = 2.0
    with pytest.raises(DeliveryError, match="cannot be reached") as error:
        send_webhook(slack.hook, DAY, [summary()], ledger(tmp_path), timeout=1)
    assert error.value.unknown
    slack.delay = 0
    with pytest.raises(DeliveryError, match="--again"):
        send_webhook(slack.hook, DAY, [summary()], ledger(tmp_path))
    assert send_webhook(slack.hook, DAY, [summary()], ledger(tmp_path), again=True) == 1
    assert send_webhook(slack.hook, DAY, [summary()], ledger(tmp_path), again=True) == 0


SCRIPT = """
import sys
from datetime import date
from pathlib import Path
from sillok.digest.deliver import Ledger
from sillok.digest.deliver.slack import send_thread
from sillok.digest.publish import load_day
day = date(2024, 12, 4)
again = sys.argv[3] == "again"
print(send_thread("xoxb-1", "C", day, load_day(sys.argv[1], day), Ledger(Path(sys.argv[1]) / "l"),
      base_url=sys.argv[2], again=again))
"""


def test_a_killed_delivery_sends_nothing_twice(slack: Slack, summary: Make, tmp_path: Path) -> None:
    write_day(DAY, [summary(f"2412.0000{n}", n) for n in range(1, 7)], tmp_path)
    slack.delay = 0.3
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), slack.api]
    process = subprocess.Popen([*command, "no"], env=dict(os.environ))
    deadline = time.monotonic() + 60
    while len(slack.got) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    slack.delay = 0
    before = len(slack.got)
    assert before >= 4
    done = subprocess.run([*command, "no"], capture_output=True, text=True, timeout=60)
    if done.returncode:  # it was killed between sending and noting: only that message is in doubt
        assert "may have arrived" in done.stderr
        done = subprocess.run([*command, "again"], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) in (7 - before, 8 - before)
    texts = [json.dumps(body["blocks"]) for _, body in slack.got]
    assert len(texts) - len(set(texts)) <= 1 and len(set(texts)) == 7


def test_pieces_end_at_sentences_and_never_inside_an_entity() -> None:
    text = mrkdwn("A sentence with a <tag> & more. " * 300)
    found = pieces(text, 100)
    assert all(len(piece) <= 100 for piece in found)
    assert not any(re.search(r"&[a-z]{0,3}$", piece) for piece in found)
    assert " ".join(found).split() == text.split()
    assert pieces("x" * 250, 100) == ["x" * 100, "x" * 100, "x" * 50]


def test_what_is_missing_is_named(summary: Make, tmp_path: Path) -> None:
    for environment, name in (({}, "SLACK_WEBHOOK_URL"), ({"SLACK_BOT_TOKEN": TOKEN}, "SLACK_CHANNEL")):
        (line,) = deliver(DAY, [summary()], tmp_path, ["slack"], Targets(environment=environment))
        assert name in line and TOKEN not in line
    with pytest.raises(ValueError, match="channel: 'pigeon' is none of atom, slack, mail"):
        deliver(DAY, [summary()], tmp_path, ["pigeon"])


def test_a_nonsensical_address_leaves_no_message_in_doubt(summary: Make, tmp_path: Path) -> None:
    bot = {"SLACK_BOT_TOKEN": TOKEN, "SLACK_CHANNEL": "C1", "SLACK_API_URL": "slack"}
    for environment in (bot, {"SLACK_WEBHOOK_URL": "slack"}):
        (line,) = deliver(DAY, [summary()], tmp_path, ["slack"], Targets(environment=environment))
        assert "is no web address" in line and not (tmp_path / ".delivered.jsonl").exists()


def test_a_ledger_with_half_a_line(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    assert one.begin("a")
    one.note("a", "sent", "5")
    with one.path.open("a") as file:
        file.write('{"key": "b", "sta')
    two = ledger(tmp_path)
    assert not two.begin("a") and two.value("a") == "5" and two.begin("b")
    assert ledger(tmp_path).state("b") == "sending"
