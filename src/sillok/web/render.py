"""Pages as HTML: Jinja2 templates that escape everything, and Markdown by the digests' own allow-list."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

import sillok
from sillok.digest.publish.page import markdown
from sillok.verify.progress import duration
from sillok.verify.tables import number
from sillok.web.models import Lang
from sillok.web.words import LANGUAGES, NAMES, WORDS, section

TEASER = 260  # characters of a summary in a list
THEMES = ("system", "light", "dark")
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_TYPES |= {".png": "image/png"}


@dataclass(frozen=True)
class Asset:
    """A file of the site that never changes under its address."""

    name: str
    type: str
    data: bytes

    @cached_property
    def address(self) -> str:
        """The address, which has the content's hash in it."""
        stem, _, suffix = self.name.rpartition(".")
        return f"/assets/{stem}.{hashlib.sha256(self.data).hexdigest()[:10]}.{suffix}"


@cache
def assets() -> dict[str, Asset]:
    """The style sheet, the scripts and the icon by name, read once."""
    found = {}
    for file in files("sillok.web").joinpath("assets").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in _TYPES:
            found[file.name] = Asset(file.name, _TYPES[suffix], file.read_bytes())
    return found


def plain_url(path: str, **query: object) -> str:
    """An address of the served site: a path with a query of what is not None."""
    given = {name: value for name, value in query.items() if value is not None}
    return _quoted(path) + (f"?{urlencode(given)}" if given else "")


@lru_cache(maxsize=8192)
def _quoted(path: str) -> str:
    return quote(path, safe="/:+")


@dataclass(frozen=True)
class Context:
    """For whom a page is made: language, theme, where it stands, and how addresses are written."""

    lang: Lang = "en"
    theme: str = "system"
    path: str = "/"
    query: dict[str, str] = field(default_factory=dict)
    base: str = ""  # scheme and host, for feeds, previews and canonical addresses
    static: bool = False
    url: Callable[..., str] = plain_url
    switch: Callable[[Lang], str] | None = None  # the same page in a language
    runs: bool = False  # whether runs can be started from the site
    member: bool = False  # whether this reader may do so
    ticket: str = ""  # what a form of this reader brings along
    nonce: str = ""  # what the ticket is signed over, kept in a cookie

    def language_url(self, lang: Lang) -> str:
        """This page in another language."""
        if self.switch is not None:
            return self.switch(lang)
        return self.url(self.path, **{**self.query, "lang": lang})

    def file(self, address: str) -> str:
        """A chart's or a picture's address; a static copy names the file, without what keeps it fresh."""
        return self.url(address.partition("?")[0]) if self.static else address

    def theme_url(self, theme: str) -> str:
        """This page in other colours; a static copy needs its script for that."""
        if self.static:
            return "#"
        return self.url(self.path, **{**self.query, "theme": theme})

    @property
    def canonical(self) -> str:
        """The page's own address, in full."""
        return self.base + plain_url(self.path, **self.query)


@lru_cache(maxsize=8192)
def rendered(text: str) -> Markup:
    """Markdown as HTML: see `sillok.digest.publish.page.markdown`. Its headings are paragraphs: a page has its own."""
    html = re.sub(r"<h[1-6]>", '<p class="head">', str(markdown(text)))
    return Markup(re.sub(r"</h[1-6]>", "</p>", html))


@cache
def _inline() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})


@lru_cache(maxsize=8192)
def teaser(text: str, width: int = TEASER) -> str:
    """The beginning of a Markdown text as plain words, cut at a space."""
    words: list[str] = []
    for token in _inline().parse(text[: 6 * width]):
        words += [child.content for child in token.children or () if child.type in ("text", "code_inline")]
        words.append(" ")
    plain = " ".join("".join(words).split())
    if len(plain) <= width:
        return plain
    cut = plain[:width].rsplit(" ", 1)[0]
    return f"{cut} …"


def slug(text: str) -> str:
    """A name for a class or an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def fact(value: Any) -> str:
    """A machine's or a run's property as text."""
    if isinstance(value, list):
        return ", ".join(fact(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {fact(item)}" for name, item in value.items())
    return number(value) if isinstance(value, float) else str(value)


@cache
def environment() -> jinja2.Environment:
    """The templates; a name that is not there is an error and no blank."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("sillok.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters |= {
        "markdown": rendered,
        "teaser": teaser,
        "number": number,
        "duration": duration,
        "slug": slug,
        "fact": fact,
        "section": section,
    }
    found.globals |= {
        "LANGUAGES": LANGUAGES,
        "LANGUAGE_NAMES": NAMES,
        "THEMES": THEMES,
        "version": sillok.__version__,
        "asset": lambda name: assets()[name].address,
        "texts_of": lambda metrics: {metric.name: metric.text for metric in metrics},
    }
    return found


def page(template: str, context: Context, **values: Any) -> str:
    """A template filled with a view, for a reader."""
    return (
        environment()
        .get_template(template)
        .render(c=context, w=WORDS[context.lang], url=context.url, **values)
    )
