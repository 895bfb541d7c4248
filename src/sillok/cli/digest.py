"""`sillok digest`: what its commands are; each is a module of its own."""

from __future__ import annotations

import typer

from sillok.cli import digest_daily, digest_write

app = typer.Typer(
    no_args_is_help=True, help="Write digests: fetch, summarise, check, write, deliver; or all of it, daily."
)
app.command("summarise", epilog=digest_write.SUMMARISE)(digest_write.summarise)
app.command("write", epilog=digest_write.WRITE)(digest_write.write)
app.command("deliver", epilog=digest_daily.DELIVER)(digest_daily.deliver)
app.command("daily", epilog=digest_daily.DAILY)(digest_daily.daily)
