"""What the project publishes of itself: a page for every measured paper, and the example digest.

``python -m sillok.verify.pages docs/papers examples`` writes both anew from the cards and the shipped results.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path

from sillok import digest, papers
from sillok.papers import Card, Claim
from sillok.verify import charts, needs, tables, view
from sillok.verify.report import draw
from sillok.verify.worker import load_trial

EXAMPLE = "first.md"


def measured_cards() -> list[Card]:
    """Cards with a trial, by id."""
    cards = papers.catalogue().values()
    return sorted((c for c in cards if c.trials and c.digests), key=lambda card: card.id)


def example(cards: Sequence[Card]) -> str:
    """A digest of these cards in Sillok's own words, in the format of the archive's."""
    entries = tuple(
        digest.Entry(
            id=card.id,
            title=card.title,
            votes=max((m.votes or 0 for m in card.digests), default=0),
            authors=card.authors,
            sections=tuple(digest.Section(name, text.strip()) for name, text in card.summary.en.items()),
        )
        for card in sorted(cards, key=lambda card: -max(m.votes or 0 for m in card.digests))
    )
    newest = max(mention.date for card in cards for mention in card.digests)
    return digest.write(digest.Digest(date=dt.date.fromisoformat(str(newest)), entries=entries))


def page(card: Card, folder: Path | None = None, *, pictures: bool = False) -> str:
    """The page of a paper in Markdown; with a folder, its charts are written there as SVG.

    Args:
        card: of the paper.
        folder: of the page; None to write no chart.
        pictures: draw the trials' pictures into the folder, too.
    """
    found = view.gather(card, None)
    parts = [
        f"# {card.title}",
        f"[arXiv {card.id}]({card.url}) · family `{card.family}` · plugs into {card.host} · "
        f"authors' code: {_reference(card)}",
        _claims_table(card, found),
    ]
    parts += [f"**{name}.** {text.strip()}" for name, text in card.summary.en.items()]
    parts += [f"## Use it\n\n```bash\n{needs.install_line(card.install)}\n```"]
    if card.usage:
        parts.append(f"```python\n{card.usage.code.strip()}\n```")
    parts.append("## What was measured")
    for claim in card.claims:
        parts += _claim(card, claim, found[claim.id], folder)
        parts += _pictures(card, claim, folder if pictures else None)
    parts.append(_bullets("## Differs from the paper", card.differs))
    if card.checked:
        parts.append(_bullets("## Checked against", card.checked))
    parts.append(
        "## 한국어 요약\n\n" + "\n\n".join(f"**{n}.** {t.strip()}" for n, t in card.summary.ko.items())
    )
    parts.append("## Reference\n\n" + "\n\n".join(f"::: {name}" for name in card.methods))
    return "\n\n".join(parts) + "\n"


def _reference(card: Card) -> str:
    if card.reference.repository is None:
        return "none"
    name = card.reference.repository
    link = name if name.startswith("https://") else f"https://github.com/{name}"
    return f"[{name}]({link}) (licence: {card.reference.licence})"


def _bullets(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, "", *(f"- {line}" for line in lines)])


def _claims_table(card: Card, found: dict[str, list[view.Result]]) -> str:
    rows = ["| claim | the paper | measured | verdict |", "| --- | --- | --- | --- |"]
    for claim in card.claims:
        data = view.claim_view(claim, found[claim.id])
        intervals = "<br>".join(
            f"{what}: {tables.number(i['mean'])} [{tables.number(i['low'])}, {tables.number(i['high'])}]"
            for what, i in (data.get("intervals") or {}).items()
        )
        verdict = data["verdict"] or "not measured yet"
        rows.append(f"| {claim.text} | {tables.paper_figure(data)} | {intervals or '-'} | **{verdict}** |")
    return "\n".join(row.replace("\n", " ") for row in rows)


def _claim(card: Card, claim: Claim, found: list[view.Result], folder: Path | None) -> list[str]:
    parts = [f"### {claim.id}", claim.text, f"*Scope.* {claim.scope}"]
    if claim.finding:
        parts.append(f"*Finding.* {claim.finding}")
    if found and found[0].runs:
        data = view.claim_view(claim, found)
        parts.append(f"**{data['verdict']}**: {data['reason']}.")
        for chart in draw(found[0], wide=True):
            name = f"{card.id}-{claim.id}-{_slug(chart['name'])}.svg"
            if folder is not None:
                (folder / name).write_text(charts.alone(chart["svg"]), encoding="utf-8")
            text = (
                found[0].verdict.declaration["measures"].get(chart["name"], {}).get("text") or chart["name"]
            )
            parts.append(f"![{chart['name']}]({name})\n\n*{text[0].upper()}{text[1:]}.*")
        parts.append(_controls(card, claim, found[0]))
        run = found[0].runs[-1].fingerprint
        versions = ", ".join(
            f"{k} {run[k]}" for k in ("python", "torch", "diffusers", "transformers") if k in run
        )
        parts.append(
            f"{len(data['seeds'])} seeds, points are seeds and bars their means; measured {data['decided'][:10]} on "
            f"{data['machine']['name']} ({versions})."
        )
    else:
        parts.append("No run of this claim has been shipped yet: it needs what this project's machines lack.")
    parts.append(
        f"```bash\nsillok verify {card.id}/{claim.id}\nsillok verify {card.id}/{claim.id} --placebo\n"
        f"sillok verify {card.id}/{claim.id} --fault\n```"
    )
    return parts


def _pictures(card: Card, claim: Claim, folder: Path | None) -> list[str]:
    parts = []
    for picture in load_trial(claim.trial).pictures if claim.trial else ():
        name = f"{card.id}-{claim.id}-{picture.name}.png"
        if folder is not None:
            from PIL import Image

            Image.fromarray(picture.draw()).save(folder / name, optimize=True)
        parts.append(f"![{picture.name}]({name})\n\n*{picture.caption}*")
    return parts


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")


def _controls(card: Card, claim: Claim, shown: view.Result) -> str:
    lines = []
    for mode, text in (("placebo", "Placebo, the baseline in every arm"), ("fault", "Planted fault")):
        for result in view.gather(card, None, mode)[claim.id][:1]:
            fault = f" ({shown.verdict.declaration['fault']})" if mode == "fault" else ""
            lines.append(f"- {text}{fault}: **{result.verdict.verdict}**. {result.verdict.reason}.")
    return "\n".join(lines)


def index(cards: Sequence[Card]) -> str:
    """The list of measured papers."""
    rows = ["# Measured papers", "", "| paper | family | claim | verdict |", "| --- | --- | --- | --- |"]
    for card in cards:
        found = view.gather(card, None)
        for claim in card.claims:
            verdict = view.claim_view(claim, found[claim.id])["verdict"] or "not measured yet"
            rows.append(f"| [{card.title}]({card.id}.md) | {card.family} | {claim.id} | **{verdict}** |")
    return "\n".join(rows) + "\n"


def write(pages: Path, examples: Path, *, pictures: bool = True) -> list[Path]:
    """Write all pages with their charts and pictures, the list of them, and the example digest."""
    pages.mkdir(parents=True, exist_ok=True)
    examples.mkdir(parents=True, exist_ok=True)
    cards = measured_cards()
    texts = {pages / f"{card.id}.md": page(card, pages, pictures=pictures) for card in cards}
    texts |= {pages / "index.md": index(cards), examples / EXAMPLE: example(cards)}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m sillok.verify.pages PAGES EXAMPLES")
    for path in write(Path(sys.argv[1]), Path(sys.argv[2])):
        print(path)
