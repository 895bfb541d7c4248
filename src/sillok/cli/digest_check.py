"""`sillok digest check`: what a digest says, against the texts of its papers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sillok.cli.digest_sources import CacheOption, JudgeOption, cache_folder, texts_in
from sillok.cli.options import ERROR, JsonOption
from sillok.cli.out import console, emit, remark

if TYPE_CHECKING:
    from sillok.digest.check import Finding
    from sillok.digest.text import PaperText
    from sillok.digest.texts import Folder


def register(app: typer.Typer) -> None:
    """Add the command to the app of `sillok digest`."""
    app.command(
        "check", epilog="Examples: sillok digest check 2024-12-04.md --papers texts; ... --json --strict"
    )(check)


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A digest in Markdown, whoever wrote it.")],
    papers: Annotated[
        Path, typer.Option("--papers", metavar="DIR", help="Texts named <arXiv id>.txt, .html, .pdf or .md.")
    ],
    as_json: JsonOption = False,
    embedder: Annotated[
        str | None,
        typer.Option("--embedder", metavar="NAME", help="An encoder of Hugging Face, or its folder."),
    ] = None,
    entailment: Annotated[
        str | None,
        typer.Option(
            "--entailment", metavar="NAME", help="A model for natural language inference, or its folder."
        ),
    ] = None,
    judge: JudgeOption = None,
    cache_at: CacheOption = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="List the sentences that are supported too.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when a sentence is not supported.")
    ] = False,
) -> None:
    """Look up every figure, name and comparison of a digest in its papers' texts."""
    from sillok import digest
    from sillok.digest import check as checking

    found = digest.read(file)
    texts = _reader(texts_in(papers, remark))
    embed = checking.load_embedder(embedder) if embedder else None
    entail = checking.load_entailment(entailment) if entailment else None
    ask = checking.load_judge(judge, cache=cache_folder(cache_at), report=remark) if judge else None
    findings = [
        finding
        for one in (found if isinstance(found, list) else [found])
        for finding in checking.check(one, texts, embedder=embed, entailment=entail, judge=ask)
    ]
    if as_json:
        emit([finding.to_dict() for finding in findings])
    else:
        _table(file, findings, show_all)
    if strict and any(finding.verdict != "supported" for finding in findings):
        raise typer.Exit(ERROR)


def _reader(texts: Folder) -> Callable[[str], PaperText | None]:
    """Return a function that reads a paper's text once, or None where it has no word; why is a remark."""

    @cache
    def read(id: str) -> PaperText | None:
        try:
            text = texts.get(id)
        except (ValueError, OSError) as error:  # a damaged file costs its own entry, and no other
            remark(f"{id}: {error}")
            return None
        for line in text.warnings if text is not None else ():
            remark(f"{id}: {line}")
        return text if text is not None and text.passages else None

    return read


def _table(file: Path, findings: list[Finding], show_all: bool) -> None:
    """Print the sentences that failed, with lines and reasons, and one line of counts."""
    from rich.markup import escape
    from rich.table import Table

    unread = list(dict.fromkeys(f.id or "an entry without a paper" for f in findings if _unread(f)))
    shown = [f for f in findings if not _unread(f) and (show_all or f.verdict != "supported")]
    if shown:
        table = Table(box=None, padding=(0, 1), expand=True)
        for title, ratio in (("line", None), ("paper", None), ("verdict", None), ("sentence", 3), ("why", 2)):
            table.add_column(title, ratio=ratio, no_wrap=ratio is None)
        for finding in shown:
            why = "; ".join(finding.reasons)
            cells = [str(finding.line), finding.id or "-", finding.verdict, finding.sentence, why]
            table.add_row(*(escape(cell) for cell in cells))
        console().print(table)
    for name in unread:
        remark(f"{file.name}: {name}: no text, not checked")
    counts = [
        f"{sum(f.verdict == verdict and not _unread(f) for f in findings)} {verdict}"
        for verdict in ("supported", "not found", "contradicted")
    ]
    tail = f"; {len(unread)} entries without a text" if unread else ""
    print(f"{len(findings)} sentences: {', '.join(counts)}{tail}")


def _unread(finding: Finding) -> bool:
    return any(reason.startswith("no text of this paper") for reason in finding.reasons)
