"""Pages drawn by Chromium, with the place of every block as the browser laid it out."""

from __future__ import annotations

import copy
import html
import io
import shutil
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from sillok.testbeds.documents.content import HEIGHT, WIDTH, page_truth
from sillok.testbeds.documents.noise import degrade

if TYPE_CHECKING:
    from PIL.Image import Image

BLUR = 2.5  # pixels: Tesseract reads 93 % of the letters at 2, 29 % at 3

STYLE = """
body {{ margin: 0; width: {width}px; height: {height}px; position: relative; background: white; overflow: hidden;
  font: 20px/1.35 "DejaVu Serif", serif; color: black; }}
main {{ position: absolute; left: 110px; top: 150px; width: 1020px; column-count: {columns}; column-gap: 50px;
  height: 1480px; column-fill: {fill}; }}
main > * {{ break-inside: avoid; margin: 0 0 18px 0; display: block; }}
h2 {{ font-size: 25px; }}
table {{ border-collapse: collapse; display: table !important; }}
td {{ border: 1px solid black; padding: 3px 9px; }}
.header {{ position: absolute; top: 60px; left: 110px; font-size: 16px; }}
.page_number {{ position: absolute; bottom: 50px; left: 600px; font-size: 16px; }}
.table_caption {{ font-size: 17px; }}
.mark {{ position: absolute; color: rgba(120, 120, 120, 0.55); font: bold 54px sans-serif; transform: rotate(-30deg);
  white-space: nowrap; }}
"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def _chromium() -> str:
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise ValueError("pages are drawn by Chromium, which is not installed (Debian: apt install chromium)")


def _element(block: dict[str, Any]) -> str:
    category = block["category_type"]
    tag = f'id="b{block["anno_id"]}" class="{category}"'
    if category == "table":
        return block["html"].replace("<table>", f"<table {tag}>", 1)
    if category == "equation_isolated":
        from latex2mathml.converter import convert

        return f"<div {tag}>{convert(block['latex'].strip('$').strip(), display='block')}</div>"
    name = "h2" if category == "title" else "div"
    return f"<{name} {tag}>{html.escape(block['text'])}</{name}>"


def page_html(page: dict[str, Any]) -> str:
    """The page as HTML of one screen, A4 at 150 dots an inch; with a watermark if its attributes say so."""
    info = page["page_info"]
    columns = 2 if info["page_attribute"]["layout"] == "double_column" else 1
    style = STYLE.format(
        width=WIDTH, height=HEIGHT, columns=columns, fill="balance" if columns == 2 else "auto"
    )
    ordered = sorted(
        (block for block in page["layout_dets"] if block["order"]), key=lambda block: block["order"]
    )
    inside = "".join(map(_element, ordered))
    outside = "".join(_element(block) for block in page["layout_dets"] if not block["order"])
    marks = ""
    if info["page_attribute"]["watermark"]:
        spots = ((x, y) for y in range(180, HEIGHT - 100, 230) for x in (90, 640))
        marks = "".join(f'<div class="mark" style="left:{x}px;top:{y}px">DRAFT COPY</div>' for x, y in spots)
    return (
        f"<html><head><style>{style}</style></head><body><main>{inside}</main>{outside}{marks}</body></html>"
    )


PLACES = """() => Object.fromEntries([...document.querySelectorAll('[id^=b]')].map(e => {
  const r = e.getBoundingClientRect(); return [e.id, [r.left, r.top, r.right, r.bottom]]; }))"""


def page_draw(pages: Sequence[dict[str, Any]]) -> list[tuple[Image, dict[str, Any]]]:
    """Pictures of pages (RGB), each with its page, whose blocks have got their places.

    A page's attributes tell how it is drawn: ``watermark`` puts words across it, ``fuzzy_scan`` blurs it.

    Raises:
        ValueError: Chromium or playwright is not installed.
    """
    from PIL import Image

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise ValueError("pages are drawn through playwright: pip install 'sillok[evals]'") from None
    drawn = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for page in pages:
            tab.set_content(page_html(page))
            places = tab.evaluate(PLACES)
            image = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
            page = copy.deepcopy(page)
            for block in page["layout_dets"]:
                left, top, right, bottom = places[f"b{block['anno_id']}"]
                block["poly"] = [left, top, right, top, right, bottom, left, bottom]
            if page["page_info"]["page_attribute"]["fuzzy_scan"]:
                image = degrade(image, BLUR)
            drawn.append((image, page))
        browser.close()
    return drawn


def page_generate(n: int, seed: int) -> list[tuple[Image, dict[str, Any]]]:
    """``n`` drawn pages with their ground truth in OmniDocBench's format.

    One in four has a watermark, one in four is out of focus.

    Raises:
        ValueError: ``n`` is negative, Chromium or playwright is not installed.
    """
    pages = page_truth(n, seed)
    rng = Random(f"{seed}/attributes")
    for page in pages:
        attribute = page["page_info"]["page_attribute"]
        attribute["watermark"], attribute["fuzzy_scan"] = rng.randrange(4) == 0, rng.randrange(4) == 0
    return page_draw(pages)
