"""What all parsers share: collecting passages under headings, and how a paper's parts announce themselves."""

from __future__ import annotations

import re

from sillok.digest.text import Kind, PaperText, Passage, Source

_REFERENCES = re.compile(
    r"(?:(?:[0-9]+(?:\.[0-9]+)*|[IVX]+|[A-Z])[.)]?\s+)?"
    r"(?:list of )?(?:references?|bibliography|works cited|literature cited|참고\s?문헌)(?: and notes)?\W*",
    re.IGNORECASE,
)
_ABSTRACT = re.compile(r"(?:abstract|요\s?약|초\s?록)\W*", re.IGNORECASE)

#: How a caption begins: "Figure 3:", "Table A.2.", "Fig. 4 |", "Algorithm 1".
CAPTION = re.compile(
    r"(?:(?:extended data |supplementary |appendix )?(?:figure|fig\.?|table|algorithm|listing)s?|그림|표)"
    r"\s*(?:S?[0-9]+|[A-Z]+(?=[.\-]?[0-9])|[IVX]+)(?:[.\-][0-9]+)*[a-z]?\s*(?::|：|\||\.(?=\s|$)|[–—-](?=\s))",
    re.IGNORECASE,
)
#: The same for a table only.
TABLE_CAPTION = re.compile(r"\s*(?:extended data |supplementary |appendix )?(?:table|표)\s*[0-9A-Z]", re.I)

#: A heading's number and its words: "4.2 Ablations", "A.1 Proofs", "IV. RESULTS".
NUMBERED = re.compile(
    r"(?P<number>(?:[0-9]{1,2}|[A-Z])(?:\.[0-9]{1,2}){0,3}|[IVX]{1,5}(?=\.))\.?\s+(?P<words>[^\W\d_].*)"
)
KNOWN = re.compile(
    r"(?:abstract|(?:[0-9]+\.?\s+)?introduction|related works?|background|preliminaries|methods?|methodology|"
    r"experiments?|experimental (?:setup|results)|evaluation|results|discussion|limitations?|conclusions?|"
    r"acknowledge?ments?|broader impacts?|ethics statement|reproducibility statement|references|bibliography|"
    r"appendi(?:x|ces)(?: [A-Z])?|supplementary materials?|초록|요약|서론|결론|참고\s?문헌)\W*",
    re.IGNORECASE,
)
#: Numbers of headings that may as well begin a sentence or a title ("A Toy Paper").
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
STAMP = re.compile(
    r"arXiv:\s*(?P<id>[0-9]{4}\.[0-9]{4,5}|[a-z-]+(?:\.[A-Z]{2})?/[0-9]{7})v(?P<version>[0-9]{1,4})", re.I
)
_GONE = dict.fromkeys([*range(32), 127, *range(0xD800, 0xE000)])
_SPACE = re.compile(r"[\s\u00a0\u2000-\u200b\u202f\u205f\u3000\ufeff\u2061-\u2064]+")


_THOUSANDS = re.compile(r"(?<=[0-9])[\u2008\u2009\u202f](?=[0-9]{3}(?![0-9]))")


def clean(text: str) -> str:
    """One line: white space is a space (a comma within a figure), control characters and soft hyphens are gone."""
    text = _THOUSANDS.sub(",", text.replace("\u00ad", ""))
    text = _SPACE.sub(" ", text)
    if not text.isprintable():
        text = text.translate(_GONE)
    return text.strip()


def depth(number: str) -> int:
    """The level of a numbered heading: 1 for "4", 2 for "4.2" and "A.1"."""
    return number.rstrip(".").count(".") + 1


class Passages:
    """Passages in reading order under a stack of headings; what stands under "References" is dropped."""

    def __init__(self) -> None:
        self.found: list[Passage] = []
        self.stack: list[tuple[int, str]] = []
        self.kind: Kind | None = None
        self.dropped: int | None = None

    @property
    def section(self) -> str:
        """The headings above, parted by " / "."""
        return " / ".join(text for _, text in self.stack)

    @property
    def lettered(self) -> bool:
        """Whether a heading "A Proofs" may follow: after the references or within an appendix."""
        if self.dropped is not None:
            return True
        top = self.stack[0][1] if self.stack else ""
        return top[:1] in LETTERS and (top[1:2] in (" ", ".") or top.lower().startswith("appendi"))

    def title(self, text: str, page: int | None = None) -> None:
        """Take the paper's title; a second one is an ordinary heading."""
        if text := clean(text):
            self.found.append(Passage("title", "", text, page))

    def heading(self, level: int, text: str) -> None:
        """Open a section; "References" drops all up to the next heading of its level, "Abstract" names a kind."""
        text = clean(text)
        if not text or (self.dropped is not None and level > self.dropped):
            return
        self.dropped, self.kind = None, None
        while self.stack and self.stack[-1][0] >= level:
            self.stack.pop()
        if _REFERENCES.fullmatch(text):
            self.dropped = level
        elif _ABSTRACT.fullmatch(text):
            self.kind = "abstract"
        else:
            self.stack.append((level, text))

    def add(self, kind: Kind, text: str, page: int | None = None) -> None:
        """Add one passage under the headings above, unless it is empty or among the references."""
        if self.dropped is not None:
            return
        lines = text.split("\n") if kind == "table" else [clean(text)]
        text = "\n".join(line for line in lines if line.strip(" |"))
        if text:
            kind = self.kind if self.kind and kind == "paragraph" else kind
            self.found.append(Passage(kind, "" if kind == "abstract" else self.section, text, page))

    def table(self, rows: list[list[str]], page: int | None = None) -> None:
        """Add a table as one passage, a line a row."""
        lines = [" | ".join(clean(cell).replace("|", "¦") for cell in row) for row in rows]
        self.add("table", "\n".join(lines), page)

    def text_of(
        self, id: str, version: int | None, source: Source, warnings: list[str], stamp: re.Match[str] | None
    ) -> PaperText:
        """The paper; `stamp` is arXiv's mark in the file, which tells the version or that it is another paper."""
        if stamp is not None and stamp["id"] != id:
            warnings = [*warnings, f"the file says that it is arXiv:{stamp['id']}, not {id}"]
        elif stamp is not None:
            version = version if version is not None else int(stamp["version"])
        if not self.found and not warnings:
            warnings = [*warnings, "the file has no text"]
        order: dict[str, int] = {"title": 0, "abstract": 1}
        found = sorted(self.found, key=lambda passage: order.get(passage.kind, 2))
        return PaperText(id, version, tuple(found), source, tuple(warnings))
