"""`sillok digest`: fetch, summarise, check, write and deliver digests; each command in a module of its own."""

from __future__ import annotations

import typer

from sillok.cli import digest_check, digest_daily, digest_fetch, digest_write

app = typer.Typer(no_args_is_help=True, help="Write digests and check them: fetch, read, summarise, deliver.")

digest_fetch.register(app)
digest_check.register(app)
digest_write.register(app)
digest_daily.register(app)
