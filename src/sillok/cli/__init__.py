"""The command line: each command a few lines over the package below it."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import sillok
from sillok.cli import digest as digest_commands
from sillok.cli import files, testbed, web
from sillok.cli.files import open_if_there, open_record
from sillok.cli.options import (
    ERROR,
    INTERRUPTED,
    UNMET,
    Device,
    JsonOption,
    Language,
    RecordOption,
    Scale,
    Wanted,
)
from sillok.cli.out import console, emit, remark

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Daily Papers digests made executable: read one, and measure what its papers claim on this machine.",
    epilog="Exit codes: 0 done, 1 error, 2 usage, 3 --require is not met, 130 interrupted.",
)


app.add_typer(testbed.app, name="testbed")
app.add_typer(digest_commands.app, name="digest")
app.command(epilog="Example: sillok serve --port 8080")(web.serve)
app.command(epilog=files.EXPORT_EXAMPLES)(files.export)
app.command("import", epilog="Example: sillok import backup")(files.import_)


@app.command(epilog="Example: sillok read examples/2024-12-04.md")
def read(
    file: Annotated[Path, typer.Argument(help="A digest in Markdown.")],
    record: RecordOption = None,
    as_json: JsonOption = False,
    store: Annotated[bool, typer.Option("--store/--no-store", help="Keep the digest in the record.")] = True,
) -> None:
    """Read a digest: its papers, what Sillok knows of them, and what could not be understood."""
    from sillok import digest
    from sillok.verify import library

    found = digest.read(file)
    digests = found if isinstance(found, list) else [found]
    for one in digests:
        for warning in one.warnings:
            remark(f"{file.name}:{warning.line}: {warning.message}")
    if store:
        with open_record(record) as opened:
            library.sync(opened)
            library.keep(opened, digests, file.name, digest.write(found))
    rows = library.matched(digests)
    if as_json:
        emit(rows)
        return
    from sillok.verify import tables

    tables.digest(rows, console())


@app.command("list", epilog="Example: sillok list --family diffusion --measured")
def list_(
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    date: Annotated[str | None, typer.Option(help="Only papers of the digest of this date.")] = None,
    measured: Annotated[bool, typer.Option("--measured", help="Only papers that have a trial.")] = False,
    record: RecordOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the papers of the catalogue with their verdicts."""
    from sillok import papers
    from sillok.verify import view

    with open_if_there(record) as opened:
        rows = [
            (card, view.paper_view(card, view.gather(card, opened) if card.claims else {}))
            for card in papers.catalogue().values()
            if (family is None or card.family == family)
            and (date is None or date in {str(mention.date) for mention in card.digests})
            and (not measured or any(claim.trial for claim in card.claims))
        ]
    for problem in papers.catalogue().problems:
        remark(str(problem))
    if not rows:
        _fail("no paper of the catalogue fits")
    if as_json:
        emit([view.row(card, data) for card, data in rows])
        return
    from sillok.verify import tables

    tables.listing(rows, console())


@app.command(epilog="Example: sillok show 2411.19870 --lang ko")
def show(
    paper: Annotated[str, typer.Argument(metavar="ID", help="An arXiv id.")],
    lang: Annotated[Language, typer.Option(help="Language of the summary.")] = Language.en,
    record: RecordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a paper: summary, claims, and each measured figure beside the one that the paper printed."""
    from sillok import papers
    from sillok.verify import view

    card = papers.load(paper)
    with open_if_there(record) as opened:
        data = view.paper_view(card, view.gather(card, opened))
    if as_json:
        emit(data)
        return
    from sillok.verify import tables

    tables.card(card, data, lang.value, console())


@app.command(
    epilog="Examples: sillok verify 2411.19870 --scale smoke; sillok verify 2024-12-04 --minutes 15 --report out.html"
)
def verify(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE|DATE|ID|ID/CLAIM]...", help="What to measure; default: all."),
    ] = None,
    scale: Annotated[
        Scale, typer.Option(help="smoke: seconds; here: two cores, minutes; full: GPU.")
    ] = Scale.here,
    minutes: Annotated[
        float | None, typer.Option(help="Budget: cheapest trials first, the rest is named.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Cores to use (default: all).")] = None,
    on: Annotated[str, typer.Option(help="Where runs go: local, ray, or ray:ADDRESS.")] = "local",
    device: Annotated[Device, typer.Option(help="auto takes a GPU where there is one.")] = Device.auto,
    placebo: Annotated[bool, typer.Option("--placebo", help="Put the baseline into every arm.")] = False,
    fault: Annotated[bool, typer.Option("--fault", help="Break the method as its trial says.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Repeat runs that are there already.")] = False,
    require: Annotated[
        Wanted | None, typer.Option(help="Exit with 3 unless every verdict is this one.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML report.")] = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure papers' claims on this machine, and set each figure beside the paper's."""
    from sillok.verify import api, progress
    from sillok.verify import targets as naming

    if placebo and fault:
        raise typer.BadParameter("--placebo and --fault are two verifications: ask for one at a time")
    if report is not None:
        from sillok.verify import report as reporting

        reporting.check_target(report)
    chosen = naming.resolve(targets or [])
    for line in chosen.remarks:
        remark(line)
    screen = console(stderr=True)
    bars = progress.Bars(screen, jobs or api.default_cores()) if screen.is_terminal else None
    plain = progress.Plain(sys.stderr, jobs or api.default_cores())
    with open_record(record) as opened:
        try:
            with bars if bars else nullcontext():
                outcome = api.run(
                    chosen,
                    scale=scale.value,
                    minutes=minutes,
                    jobs=jobs,
                    on=on,
                    device=device.value,
                    mode="placebo" if placebo else "fault" if fault else "trial",
                    again=again,
                    record=opened,
                    reporter=bars or plain,
                )
        except KeyboardInterrupt:
            remark("interrupted: what had ended is in the record, and the same command goes on from there")
            raise typer.Exit(INTERRUPTED) from None
        if report is not None:
            reporting.write(report, outcome.reported(opened), opened)
            remark(f"report: {report}")
    if as_json:
        emit(outcome.papers)
    else:
        from sillok.verify import tables

        tables.outcome(outcome.papers, console())
    if require is not None and any(verdict != require.value for verdict in outcome.verdicts):
        unmet = sum(verdict != require.value for verdict in outcome.verdicts)
        remark(f"--require {require.value!r}: not met by {unmet} of {len(outcome.verdicts)} claims")
        raise typer.Exit(UNMET)


@app.command(epilog="Example: sillok report 2411.19870 2410.02367 --out report.html")
def report(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE|DATE|ID|ID/CLAIM]...", help="Default: all that is measured."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML file to write.")] = Path("report.html"),
    record: RecordOption = None,
) -> None:
    """Write one self-contained HTML file with what was measured, here and elsewhere."""
    from sillok.verify import report as reporting
    from sillok.verify import targets as naming

    reporting.check_target(out)
    chosen = naming.resolve(targets or [])
    for line in chosen.remarks:
        remark(line)
    with open_if_there(record) as opened:
        reporting.write(out, reporting.collect(chosen, opened), opened)
    print(out)


@app.command(epilog="Example: sillok runs --paper 2411.19870 --json")
def runs(
    paper: Annotated[str | None, typer.Option(metavar="ID", help="Only runs of this paper.")] = None,
    scale: Annotated[Scale | None, typer.Option(help="Only runs at this scale.")] = None,
    state: Annotated[str | None, typer.Option(help="Only done or failed runs.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, newest first.")] = None,
    log: Annotated[str | None, typer.Option(metavar="RUN", help="Print the log of one run.")] = None,
    record: RecordOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs in the record, newest first, or print one run's log."""
    from sillok.verify import tables, view

    with open_if_there(record) as opened:
        if log is not None:
            run = opened.run(log) if opened else None
            if run is None:
                _fail(f"there is no run {log!r} in the record")
            print(run.log, end="")
            return
        found = (
            opened.runs(paper=paper, scale=scale and scale.value, state=state, limit=limit, with_logs=False)
            if opened
            else []
        )
    rows = [view.run_row(run) for run in found]
    if as_json:
        emit(rows)
    else:
        tables.runs(rows, console())


@app.command(epilog="Examples: sillok search 확산 모델; sillok search attention int8 --family attention")
def search(
    words: Annotated[list[str], typer.Argument(help="Words in Korean or English.")],
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    record: RecordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search titles, authors and summaries."""
    from sillok.verify import library, tables

    with open_record(record) as opened:
        library.sync_if_possible(opened)
        hits = opened.search(" ".join(words), limit=limit, family=family)
    if as_json:
        emit([vars(hit) if not hasattr(hit, "__slots__") else hit for hit in hits])
    elif not hits:
        remark("nothing found")
    else:
        tables.hits(hits, console())


@app.command(epilog="Example: sillok doctor --json")
def doctor(record: RecordOption = None, as_json: JsonOption = False) -> None:
    """Say what this machine has, what is missing, and the command that would mend it."""
    from sillok.verify import doctoring

    findings = doctoring.examine(record)
    if as_json:
        emit(findings)
    else:
        from sillok.verify import tables

        tables.doctor(findings, console())
    if findings["problems"]:
        raise typer.Exit(ERROR)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        print(sillok.__version__)
        raise typer.Exit


def _fail(text: str) -> NoReturn:
    print(f"sillok: {text}", file=sys.stderr)
    raise typer.Exit(ERROR)


def main() -> None:
    """Run the command line; whatever goes wrong is one line and an exit code, with no traceback."""
    try:
        app()
    except KeyboardInterrupt:
        print("sillok: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ERROR)
    except SystemExit as ended:
        # Typer turns Ctrl-C into an exit without a word; a command that said its own has no such cause.
        if isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt):
            print("sillok: interrupted", file=sys.stderr)
        raise
    except Exception as error:
        if os.environ.get("SILLOK_DEBUG"):
            raise
        print(f"sillok: {_line(error)}", file=sys.stderr)
        sys.exit(ERROR)


def _line(error: Exception) -> str:
    """Return what went wrong in one line; a file's trouble as "FILE: No space left on device"."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
