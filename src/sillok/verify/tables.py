"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sillok.papers import Card
from sillok.verify.progress import COLOURS, duration


def number(value: float | None) -> str:
    """A figure at four significant digits, with thousands set apart."""
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def inverse(what: str, mean: float) -> str:
    """A ratio well below 1 the other way round, as people say it: "1/77"; else nothing."""
    return f"1/{number(float(f'{1 / mean:.3g}'))}" if " / " in what and 0 < mean < 0.5 else ""


def verdict_text(verdict: str | None, scale: str | None = None) -> Text:
    """A verdict in its colour; one at `smoke` says that it is a rehearsal."""
    if verdict is None:
        return Text("not measured", style="dim")
    text = Text(verdict, style=f"bold {COLOURS[verdict]}")
    if scale == "smoke" and verdict not in ("out of reach", "failed"):
        text.append(" (smoke: a rehearsal)", style="dim")
    return text


def paper_figure(claim: Mapping[str, Any]) -> str:
    """The figure that the paper printed, with its setting, in one line."""
    paper = claim.get("paper")
    if not paper:
        return "-"
    value = number(paper["value"]) + " " if paper.get("value") is not None else ""
    setting = ", ".join(part for part in (paper.get("dataset"), paper.get("hardware")) if part)
    text = f"{value}{paper.get('unit') or ''}".strip()
    against = f" against {paper['baseline']}" if paper.get("baseline") else ""
    doubt = "" if paper.get("verified") else " [unverified]"
    return f"{text}{against}{f' ({setting})' if setting else ''}{doubt}"


def arm_means(claim: Mapping[str, Any]) -> dict[str, dict[str, tuple[float, str]]]:
    """Metric -> arm -> (mean over seeds, unit)."""
    values: dict[str, dict[str, list[float]]] = {}
    units: dict[str, str] = {}
    for row in claim["measurements"]:
        values.setdefault(row["metric"], {}).setdefault(row["arm"], []).append(row["value"])
        units[row["metric"]] = row["unit"]
    return {
        metric: {arm: (fmean(all_), units[metric]) for arm, all_ in arms.items()}
        for metric, arms in values.items()
    }


def claim_block(paper: Mapping[str, Any], claim: Mapping[str, Any]) -> RenderableType:
    """One claim: the paper's figure, the measured arms, the verdict with its reason."""
    head = Text.assemble((f"{paper['id']} ", "bold"), f"{paper['title']}\n", (f"{claim['text']}", "italic"))
    lines: list[RenderableType] = [head, Text(f"paper: {paper_figure(claim)}")]
    means = arm_means(claim)
    if means:
        arms = list(dict.fromkeys(row["arm"] for row in claim["measurements"]))
        table = Table("metric", *(escape(arm) for arm in arms), "unit", box=None, padding=(0, 1))
        for metric, by_arm in means.items():
            cells = [number(by_arm[arm][0]) if arm in by_arm else "-" for arm in arms]
            table.add_row(metric, *cells, next(iter(by_arm.values()))[1])
        lines.append(table)
    verdict = Text("measured: ")
    verdict.append_text(verdict_text(claim["verdict"], claim.get("scale")))
    if claim.get("mode", "trial") != "trial":
        verdict.append(f" ({claim['mode']})")
    if claim.get("reason"):
        verdict.append(f"\n{claim['reason']}")
    lines.append(verdict)
    if claim.get("finding"):
        lines.append(Text(f"the project's finding: {claim['finding']}"))
    machine = claim.get("machine")
    if machine:
        where = "shipped with Sillok, " if claim.get("shipped") else ""
        lines.append(
            Text(f"{where}{len(claim.get('seeds', ()))} seeds, {machine.get('name', '')}", style="dim")
        )
    lines.append(Text(""))
    return Group(*lines)


def outcome(papers: Iterable[Mapping[str, Any]], console: Console) -> None:
    """The closing table of a verification."""
    for paper in papers:
        for claim in paper["claims"]:
            console.print(claim_block(paper, claim))


def listing(rows: Sequence[tuple[Card, Mapping[str, Any]]], console: Console) -> None:
    """The catalogue: one row a paper."""
    table = Table("id", "family", "votes", "title", "method", "verdicts")
    for card, view in rows:
        verdicts = Text()
        for claim in view["claims"]:
            if verdicts:
                verdicts.append("\n")
            verdicts.append(f"{claim['id']}: ")
            verdicts.append_text(verdict_text(claim["verdict"], claim.get("scale")))
        votes = max((m.votes for m in card.digests if m.votes is not None), default=None)
        table.add_row(
            card.id, card.family, number(votes), escape(card.title), "yes" if card.methods else "", verdicts
        )
    console.print(table)


def digest(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """The entries of digests, and which of them can be measured."""
    table = Table("line", "id", "votes", "title", "family", "claims measured here")
    for row in rows:
        claims = ", ".join(row["claims"]) or ("" if row["card"] else "no card")
        cells = [str(row["line"]), row["id"] or "-", number(row["votes"]), escape(row["title"])]
        table.add_row(*cells, row["family"] or "", claims)
    console.print(table)


def hits(found: Iterable[Any], console: Console) -> None:
    """What a search found."""
    table = Table("id", "family", "title", "")
    for hit in found:
        table.add_row(hit.id, hit.family or "", escape(hit.title), Text(hit.snippet, style="dim"))
    console.print(table)


def doctor(findings: Mapping[str, Any], console: Console) -> None:
    """What `sillok doctor` found."""
    machine = findings["machine"]
    console.print(
        f"Sillok {findings['sillok']}, Python {findings['python']}, {machine['name']}, {machine['system']}"
    )
    gpu = (
        "a CUDA GPU that PyTorch sees"
        if findings["gpu"]
        else "no CUDA GPU: trials that need one are out of reach"
    )
    console.print(gpu)
    console.print(f"{findings['cards']} cards, {findings['trials']} trials")
    record = findings["record"]
    held = f"{record['runs']} runs, {record['papers']} papers" if "runs" in record else "not there yet"
    console.print(f"record {record['url']}: {held}")
    for extra, state in findings["extras"].items():
        if state["missing"]:
            lacking = ", ".join(state["missing"])
            console.print(Text.assemble((f"{extra}: ", "bold"), f"lacks {lacking}; {state['install']}"))
        else:
            console.print(Text.assemble((f"{extra}: ", "bold"), "complete"))
    for problem in findings["problems"]:
        console.print(Text(f"problem: {problem}", style="red"))


def runs(rows: Iterable[Mapping[str, Any]], console: Console) -> None:
    """Stored runs, newest first."""
    table = Table("run", "paper", "claim", "arm", "seed", "scale", "mode", "state", "time")
    for row in rows:
        state = Text(row["state"], style="" if row["state"] == "done" else "magenta")
        cells = [str(row[key]) for key in ("run", "paper", "claim", "arm", "seed", "scale", "mode")]
        table.add_row(*cells, state, duration(row["seconds"]))
    console.print(table)


def card(one: Card, view: Mapping[str, Any], language: str, console: Console) -> None:
    """A paper's page: facts, summary, claims with what was measured."""
    console.print(Text(one.title, style="bold"))
    order = "" if not one.authors_source.startswith("unverified") else " (order unverified)"
    console.print(Text(f"{', '.join(one.authors)}{order}"))
    mentions = ", ".join(f"{m.date} ({number(m.votes)} votes)" for m in one.digests)
    console.print(Text(f"{one.url}  published {one.published}  family {one.family}  digests {mentions}"))
    reference = one.reference.repository or "none"
    console.print(Text(f"reference code: {reference}, licence {one.reference.licence}"))
    if one.methods:
        console.print(Text(f"methods: {', '.join(one.methods)}"))
    console.print()
    for name, text in getattr(one.summary, language).items():
        console.print(Text.assemble((f"{name}. ", "bold"), text.strip()))
    for sentence in one.differs:
        console.print(Text.assemble(("Differs from the paper. ", "bold"), sentence))
    console.print()
    outcome([view], console)
    if not one.claims:
        console.print(Text("Facts only: no claim of this paper is measured yet.", style="dim"))
    elif one.usage:
        console.print(Text(one.usage.code))
