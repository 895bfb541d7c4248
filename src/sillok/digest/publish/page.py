"""HTML pages: one file each, nothing loaded from elsewhere, light and dark, readable on a phone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date as Date
from functools import cache
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt

from sillok.digest.model import arxiv_url
from sillok.digest.summarise.language import language_of
from sillok.digest.summarise.summary import Summary

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_LABELS = {
    "en": {
        "votes": "votes", "papers": "papers", "picture": "picture", "own": "the paper's own sentences",
        "by": "written by", "flagged": "sentences that failed their check", "says": "the paper says",
        "day": "day", "days": "days",
    },
    "ko": {
        "votes": "추천", "papers": "편", "picture": "그림", "own": "논문 문장 발췌", "by": "작성",
        "flagged": "확인에 실패한 문장", "says": "논문의 내용", "day": "날짜", "days": "일",
    },
}  # fmt: skip
_MARK = re.compile(r"\[(⚠[^\[\]<>]*)\]")


def labels(language: str) -> dict[str, str]:
    """Return the words of a page in a language; English where there are no others."""
    return _LABELS.get(language, _LABELS["en"])


def main_language(summaries: Sequence[Summary]) -> str:
    """Return the code of the language that most summaries are in ("en" where none says)."""
    codes = [language_of(one.language).code for one in summaries if one.language]
    return max(codes, key=codes.count) if codes and any(codes) else "en"


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise ImportError("HTML pages need Jinja2: pip install 'sillok[digest]'") from None
    found = Environment(
        loader=PackageLoader("sillok.digest.publish"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["markdown"] = markdown
    return found


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).disable(["image"])


def markdown(text: str) -> Markup:
    """Return Markdown as HTML: tags in it are shown and not obeyed, pictures are links, marks stand out."""
    from markupsafe import Markup

    html = _markdown().render(text)
    return Markup(_MARK.sub(r'<strong class="mark">\1</strong>', html))


def day_page(date: Date, summaries: Sequence[Summary], *, pictures: bool = False) -> str:
    """Return a day's page.

    Args:
        pictures: show the papers' pictures, which a browser then loads from their sites; else they are links.
    """
    return render("day.html", f"Daily Papers ({date.isoformat()})", summaries, pictures=pictures)


def render(template: str, title: str, summaries: Sequence[Summary], **values: Any) -> str:
    """Return a template filled with summaries."""
    language = main_language(summaries)
    page = _environment().get_template(template)
    return page.render(
        title=title,
        language=language,
        words=labels(language),
        papers=[paper(one) for one in summaries],
        **{"pictures": False, **values},
    )


def paper(summary: Summary) -> dict[str, Any]:
    """Return what a page says of one paper."""
    listing = summary.listing
    picture = listing.picture
    return {
        "id": listing.id,
        "anchor": "p" + re.sub(r"\W", "-", listing.id),
        "title": listing.title,
        "url": arxiv_url(listing.id),
        "votes": listing.votes,
        "authors": ", ".join(listing.authors),
        "image": picture.urls[0] if picture and picture.kind == "image" and _web(picture.urls[0]) else None,
        "media": [url for url in picture.urls if _web(url)] if picture else [],
        "sections": summary.sections,
        "notes": summary.notes,
        "model": summary.model,
        "own": summary.model is None and bool(summary.language),
        "flagged": summary.flagged,
    }


def _web(url: str) -> bool:
    return url.startswith(("https://", "http://"))
