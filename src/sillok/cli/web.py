"""`sillok serve`, and the site of `sillok export`."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from sillok.cli.options import RecordOption
from sillok.cli.out import remark

UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Where readers reach the site, for feeds and previews."),
]


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; the default is this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    record: RecordOption = None,
    url: UrlOption = None,
    allow_runs: Annotated[
        bool,
        typer.Option(
            "--allow-runs", help="Whoever has the token (SILLOK_TOKEN, or one that is made) may start runs."
        ),
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Cores that runs may use (default: all).")] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that answer; 1 with --allow-runs.")
    ] = 1,
) -> None:
    """Open the site: read, search and compare in a browser, and start runs if allowed. Ctrl-C ends it."""
    _check(url)
    if workers > 1 and allow_runs:
        raise ValueError(f"workers: {workers}, but --allow-runs needs one process, which holds the queue")
    import uvicorn

    from sillok.record import Record
    from sillok.web import application
    from sillok.web.security import accepted
    from sillok.web.workers import hand_over, prompt

    given = os.environ.pop("SILLOK_TOKEN", "") or None  # not for the workers to see
    token = (given or secrets.token_urlsafe(24)) if allow_runs else None
    hosts = accepted(host, url)
    with _listen(host, port) as listener, Record.open(record) as opened:
        if allow_runs and opened.read_only:
            raise RuntimeError("--allow-runs: the record can only be read here")
        if workers > 1:  # the record is there and of this Sillok's making: each of them opens it anew
            opened.close()
            _say(listener, host, None)
            hand_over(record, url, hosts)
            made = "sillok.web.workers:worker"
            uvicorn.run(made, factory=True, workers=workers, fd=listener.fileno(), **_HOW)
            return
        app = application(opened, url=url, hosts=hosts, token=token, jobs=jobs)
        _say(listener, host, None if given else token)
        prompt()
        uvicorn.Server(uvicorn.Config(app, **_HOW)).run(sockets=[listener])


_HOW: dict[str, Any] = {
    "log_level": "warning",
    "server_header": False,
    "access_log": False,
    "timeout_graceful_shutdown": 2,
    "timeout_keep_alive": 75,  # longer than clients and proxies keep a connection: the last word is theirs
}


def _say(listener: socket.socket, host: str, token: str | None) -> None:
    """Tell the address, and a token that was made."""
    from sillok.web.security import LOOPBACK

    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}/"
    print(url, flush=True)
    if host not in LOOPBACK:
        remark("this address is open to others: everything in the record can be read there")
    if token:
        remark(f"token for {url}login: {token}")


def export_site(folder: Path, record: str | None, url: str | None) -> None:
    """Write the site as static files, and say how many."""
    _check(url)
    from sillok.record import Record
    from sillok.web import export

    with Record.open(record) as opened:
        written = export(folder, opened, url=url)
    print(f"{written} files; open {folder / 'index.html'}")


def _check(url: str | None) -> None:
    from sillok.verify import needs

    lacking = needs.missing_packages("web")
    if lacking:
        raise RuntimeError(f"the site needs {', '.join(lacking)}: {needs.install_line('web')}")
    if url is not None and not url.startswith(("https://", "http://")):
        raise ValueError(f"url: {url!r} is no web address such as 'https://example.org'")


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises RuntimeError in one line where the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise RuntimeError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
