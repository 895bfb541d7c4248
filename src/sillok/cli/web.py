"""`sillok serve`, and the site of `sillok export`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

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
) -> None:
    """Open the site: read, search and compare in a browser. Ctrl-C ends it."""
    _check(url)
    import uvicorn

    from sillok.record import Record
    from sillok.web import application
    from sillok.web.security import LOOPBACK, accepted

    listener = _listen(host, port)
    with listener, Record.open(record) as opened:
        app = application(opened, url=url, hosts=accepted(host, url))
        at = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{at}/", flush=True)
        if host not in LOOPBACK:
            remark("this address is open to others: everything in the record can be read there")
        config = uvicorn.Config(app, log_level="warning", server_header=False, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


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
