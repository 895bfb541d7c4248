"""`sillok serve` and the site of `sillok export`, as a user starts them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx


def start(*arguments: str, record: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sillok.cli", *arguments, "--record", str(record)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_site_is_served_on_loopback_until_ctrl_c(tmp_path: Path) -> None:
    process = start("serve", "--port", "0", record=tmp_path / "r.sqlite")
    assert process.stdout is not None and process.stderr is not None
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    assert "Sillok" in httpx.get(address, timeout=60).text
    port = httpx.URL(address).port
    assert httpx.get(address, headers={"host": f"elsewhere.example:{port}"}, timeout=60).status_code == 421
    second = start("serve", "--port", str(port), record=tmp_path / "r.sqlite")
    _, said = second.communicate(timeout=60)
    assert (
        second.returncode == 1
        and said.startswith("sillok: cannot listen on 127.0.0.1")
        and said.count("\n") == 1
    )
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said


def test_a_site_open_to_others_says_so(tmp_path: Path) -> None:
    process = start("serve", "--port", "0", "--host", "0.0.0.0", record=tmp_path / "r.sqlite")
    assert process.stdout is not None and process.stderr is not None
    port = httpx.URL(process.stdout.readline().strip()).port
    name = socket.gethostbyname(socket.gethostname()) or "127.0.0.1"
    assert httpx.get(f"http://127.0.0.1:{port}/", headers={"host": name}, timeout=60).status_code == 200
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "open to others" in said


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    for arguments, expected in (
        (("serve", "--url", "ftp://x", "--port", "0"), "no web address"),
        (("serve", "--host", "no.such.host.invalid", "--port", "0"), "cannot listen on"),
    ):
        process = start(*arguments, record=tmp_path / "r.sqlite")
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1 and expected in said and said.count("\n") == 1
    folder = tmp_path / "folder"
    folder.mkdir()
    process = start("serve", "--port", "0", record=folder)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "is a folder" in said


def test_export_without_a_format_writes_the_site(tmp_path: Path) -> None:
    process = start("export", str(tmp_path / "site"), record=tmp_path / "r.sqlite")
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert out.startswith(f"{sum(1 for p in (tmp_path / 'site').rglob('*') if p.is_file())} files")
    assert (tmp_path / "site" / "ko" / "papers" / "2411.19870.html").exists()
    assert not (tmp_path / "site" / "sitemap.xml").exists(), "without an address there are no whole addresses"
    blocked = tmp_path / "file"
    blocked.write_text("")
    process = start("export", str(blocked), record=tmp_path / "r.sqlite")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1 and said.count("\n") == 1 and os.fspath(blocked) in said
