"""Slack's Block Kit: a day and its papers within Slack's limits.

Limits of Slack's reference of blocks: 50 blocks a message, 3,000 characters a section's text, 150 a header's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date as Date
from typing import Any

from sillok.digest.model import arxiv_url
from sillok.digest.summarise.summary import Summary

MAX_BLOCKS, MAX_TEXT, MAX_HEADER = 50, 3000, 150

Block = dict[str, Any]


def mrkdwn(text: str) -> str:
    """Return Markdown as Slack's mrkdwn: bold, links and escapes; "<", ">" and "&" are shown and not obeyed."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"\[([^\[\]\n]+)\]\((https?://[^\s()|]+)\)", r"<\2|\1>", text)
    text = re.sub(r"(?<![\\*])\*{2,3}(?=\S)([^*\n]+?)(?<=\S)\*{2,3}", r"*\1*", text)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def pieces(text: str, limit: int = MAX_TEXT) -> list[str]:
    """Return a text in pieces of at most `limit` characters, divided at the end of a sentence or a word."""
    found = []
    while len(text) > limit:
        head = text[:limit]
        cut = max((head.rfind(end) + 1 for end in (". ", "\n", "。")), default=0)
        if cut < limit // 2:
            cut = head.rfind(" ") + 1
        if cut < limit // 2:
            cut = limit
        # Never inside an entity or a link.
        opened = max(head[:cut].rfind("&"), head[:cut].rfind("<"))
        if opened > max(head[:cut].rfind(";"), head[:cut].rfind(">")) and opened > cut - 600 and opened > 0:
            cut = opened
        found.append(text[:cut].strip())
        text = text[cut:]
    return [piece for piece in [*found, text.strip()] if piece]


def head(date: Date, summaries: Sequence[Summary]) -> tuple[str, list[Block]]:
    """Return the day's message: its plain text and its blocks, a line for each paper."""
    title = f"Daily Papers ({date.isoformat()})"
    lines = [
        f"{_votes(one)}<{arxiv_url(one.listing.id)}|{mrkdwn(_plain(one.listing.title))}>" for one in summaries
    ]
    blocks: list[Block] = [_header(title)]
    blocks += [_section(text) for text in _joined(lines)]
    return f"{title}: {len(summaries)}", blocks[:MAX_BLOCKS]


def paper(summary: Summary) -> tuple[str, list[Block]]:
    """Return a paper's message: its plain text and its blocks."""
    listing = summary.listing
    lead = f"*<{arxiv_url(listing.id)}|{mrkdwn(_plain(listing.title))}>*"
    facts = " · ".join(filter(None, [_votes(summary).strip(), ", ".join(listing.authors[:8])]))
    if len(listing.authors) > 8:
        facts += " ..."
    texts = [lead + (f"\n{mrkdwn(facts)}" if facts else "")]
    texts += [
        f"*{mrkdwn(name)}*: {mrkdwn(text)}" if name else mrkdwn(text) for name, text in summary.sections
    ]
    texts += [f"_{mrkdwn(text)}_" for text in summary.notes]
    blocks = [_section(piece) for text in texts for piece in pieces(text)]
    return _short(listing.title, 300), blocks


def messages(blocks: Sequence[Block]) -> list[list[Block]]:
    """Divide blocks among messages of at most 50."""
    return [list(blocks[start : start + MAX_BLOCKS]) for start in range(0, len(blocks), MAX_BLOCKS)]


def _joined(lines: Sequence[str]) -> list[str]:
    texts: list[str] = []
    for line in lines:
        line = line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 4] + " ..."
        if texts and len(texts[-1]) + 1 + len(line) <= MAX_TEXT:
            texts[-1] += "\n" + line
        else:
            texts.append(line)
    return texts


def _votes(summary: Summary) -> str:
    votes = summary.listing.votes
    return "" if votes is None else f"▲{votes} "


def _plain(title: str) -> str:
    """Return a title for a link's text, where "|" and line ends are Slack's; Markdown in it is no markup."""
    return re.sub(r"([*_~`\\])", r"\\\1", _short(title, 300)).replace("|", "¦")


def _short(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": _short(text, MAX_HEADER)}}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
