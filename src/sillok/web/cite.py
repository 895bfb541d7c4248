"""A paper or a digest as BibTeX, RIS and CSL-JSON, and as COinS for readers of pages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

FORMATS: Mapping[str, str] = {
    "bib": "application/x-bibtex; charset=utf-8",
    "ris": "application/x-research-info-systems; charset=utf-8",
    "json": "application/vnd.citationstyles.csl+json; charset=utf-8",
}


@dataclass(frozen=True)
class Work:
    """What is cited: `date` is an ISO day or month, `arxiv` None for a digest."""

    key: str
    title: str
    authors: Sequence[str]
    date: str | None
    url: str
    arxiv: str | None = None

    @property
    def parts(self) -> list[int]:
        """Year, month and day, as far as they are known."""
        return [int(part) for part in (self.date or "").split("-") if part.isdigit()]


def cite(work: Work, form: str) -> str:
    """The citation in one of `FORMATS`."""
    return {"bib": bibtex, "ris": ris, "json": csl}[form](work)


_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_ESCAPES |= {char: "\\" + char for char in "#$%&_"}


def _tex(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in _line(text))


def _line(text: str) -> str:
    """A text on one line, without control characters."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())


def bibtex(work: Work) -> str:
    """BibTeX; the title keeps its capitals."""
    fields = {"title": "{" + _tex(work.title) + "}", "author": " and ".join(map(_tex, work.authors))}
    if work.parts:
        fields["year"] = str(work.parts[0])
    if len(work.parts) > 1:
        fields["month"] = str(work.parts[1])
    if work.arxiv:
        fields |= {"eprint": work.arxiv, "archiveprefix": "arXiv"}
    fields["url"] = work.url
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "@misc{" + re.sub(r"[^A-Za-z0-9:.-]", "-", work.key) + ",\n" + "\n".join(lines) + "\n}\n"


def ris(work: Work) -> str:
    """RIS, as reference managers import it."""
    rows = [("TY", "UNPB" if work.arxiv else "ELEC"), ("TI", _line(work.title))]
    rows += [("AU", _line(_inverted(author))) for author in work.authors]
    if work.parts:
        rows.append(("PY", str(work.parts[0])))
        rows.append(("DA", "/".join(f"{part:02d}" for part in work.parts)))
    if work.arxiv:
        rows.append(("AN", f"arXiv:{work.arxiv}"))
    rows += [("UR", work.url), ("ER", "")]
    return "".join(f"{tag}  - {value}\r\n" for tag, value in rows)


def _inverted(name: str) -> str:
    """A name as "family, given" where it has several words; a Korean name stands as it is."""
    given, _, family = name.rpartition(" ")
    return f"{family}, {given}" if given else name


def csl(work: Work) -> str:
    """CSL-JSON: a list of one item."""
    item: dict[str, object] = {
        "id": work.key,
        "type": "article" if work.arxiv else "webpage",
        "title": work.title,
        "author": [_name(author) for author in work.authors],
        "URL": work.url,
    }
    if work.parts:
        item["issued"] = {"date-parts": [work.parts]}
    if work.arxiv:
        item |= {"number": f"arXiv:{work.arxiv}", "publisher": "arXiv"}
    return json.dumps([item], ensure_ascii=False, indent=1) + "\n"


def _name(author: str) -> dict[str, str]:
    given, _, family = author.rpartition(" ")
    return {"family": family, "given": given} if given else {"literal": author}


def coins(work: Work) -> str:
    """The title of a COinS span (ContextObjects in Spans, Z39.88)."""
    pairs = [
        ("ctx_ver", "Z39.88-2004"),
        ("rft_val_fmt", "info:ofi/fmt:kev:mtx:dc"),
        ("rft.title", work.title),
    ]
    pairs += [("rft.creator", author) for author in work.authors[:20]]
    if work.date:
        pairs.append(("rft.date", work.date))
    pairs += [("rft.identifier", work.url), ("rft.type", "preprint" if work.arxiv else "webpage")]
    return urlencode(pairs)
