"""Whether OmniDocBench's figures tell planted faults of a parser apart, beside one edit distance of the whole page."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from sillok.methods.evals.omnidoc import OmniDocBench
from sillok.methods.evals.omnidoc.normalise import normalise_text
from sillok.methods.evals.predictions import Prediction
from sillok.testbeds.documents import ocr_noise, page_draw, page_truth, page_written
from sillok.verify import Measure, Paired, Run, Truth, trial

Page = dict[str, Any]
Spoil = Callable[[Page, Random], list[str]]

#: Shares of the letters of headings and paragraphs that are misread.
RATES = (0.0, 0.02, 0.05, 0.1, 0.2)
TEXT = ("title", "text_block")
PARTS = ("text", "formula", "table", "order")


def _kinds(page: Page) -> list[str]:
    """The classes of the blocks that `page_written` gives, in its order."""
    blocks = sorted(
        (block for block in page["layout_dets"] if block["order"]), key=lambda block: block["order"]
    )
    return [block["category_type"] for block in blocks]


def swapped(page: Page, rng: Random) -> list[str]:
    """The second half of the page before the first: two columns read in the wrong order."""
    blocks = page_written(page)
    half = len(blocks) // 2
    return blocks[half:] + blocks[:half]


def merged(page: Page, rng: Random) -> list[str]:
    """The first two cells of a table's second row joined into one."""
    return [
        re.sub(
            r"(</tr><tr>)<td>([^<]*)</td><td>([^<]*)</td>", r'\1<td colspan="2">\2 \3</td>', block, count=1
        )
        for block in page_written(page)
    ]


def cut(page: Page, rng: Random) -> list[str]:
    """Every paragraph as two, cut at a space near its middle."""
    blocks = page_written(page)
    for at, kind in enumerate(_kinds(page)):
        middle = blocks[at].find(" ", len(blocks[at]) // 2)
        if kind == "text_block" and middle > 0:
            blocks[at] = blocks[at][:middle] + "\n\n" + blocks[at][middle + 1 :]
    return blocks


def one_figure(pages: list[Page], predictions: list[str]) -> dict[str, float]:
    """The baseline: the mean edit distance of whole pages, which has to answer for every part."""
    from rapidfuzz.distance import Levenshtein

    def plain(blocks: list[str]) -> str:
        return normalise_text(re.sub(r"<[^>]*>|\$\$", " ", " ".join(blocks)))

    texts = [
        (plain(page_written(page)), plain([found])) for page, found in zip(pages, predictions, strict=True)
    ]
    mean = sum(Levenshtein.normalized_distance(*pair) for pair in texts) / len(texts)
    return {**dict.fromkeys(PARTS, 100 * mean), "teds": 100 - 100 * mean}


def figures(run: Run, pages: list[Page], predictions: list[str]) -> dict[str, float]:
    """Edit distances of the parts and TEDS, in points of 100, as the arm has them."""
    if run.arm == "whole_page":
        return one_figure(pages, predictions)
    mode = "strict" if run.arm == "strict" else "published"
    bench = OmniDocBench(
        match="no_split" if run.fault else "simple_match" if run.arm == "simple_match" else "quick_match"
    )
    items = [bench.grade(page, Prediction(text), mode) for page, text in zip(pages, predictions, strict=True)]
    found = bench.total(items, mode)
    edits = {part: 100 * (found[f"{part}_edit"] or 0.0) for part in PARTS}
    return {**edits, "teds": found["teds"] or 0.0}


def noise_error(run: Run, pages: list[Page]) -> float:
    """The largest gap between the text figure and the planted share of wrong letters, over the rates."""
    gaps: list[float] = []
    for rate in RATES:
        rng, shares, predictions = Random(run.subseed(f"noise/{rate}")), [], []
        for page in pages:
            wrong = letters = 0
            blocks = page_written(page)
            for at, kind in enumerate(_kinds(page)):
                if kind in TEXT:
                    letters += len(normalise_text(blocks[at]))
                    blocks[at], planted = ocr_noise(blocks[at], rate, rng)
                    wrong += planted
            shares.append(100 * wrong / letters)
            predictions.append("\n\n".join(blocks))
        gaps.append(figures(run, pages, predictions)["text"] - sum(shares) / len(shares))
    run.curve(
        "gap of the text figure",
        [100 * rate for rate in RATES],
        gaps,
        x_label="letters misread, %",
        y_label="text figure less planted share, points",
    )
    return max(map(abs, gaps))


def drop_error(run: Run, pages: list[Page]) -> float:
    """The gap between the text figure and the share of text that one dropped paragraph a page is."""
    rng, shares, predictions = Random(run.subseed("drop")), [], []
    for page in pages:
        blocks, kinds = page_written(page), _kinds(page)
        sizes = {at: len(normalise_text(blocks[at])) for at, kind in enumerate(kinds) if kind in TEXT}
        gone = rng.choice([at for at in sizes if kinds[at] == "text_block"])
        shares.append(100 * sizes[gone] / sum(sizes.values()))
        predictions.append("\n\n".join(block for at, block in enumerate(blocks) if at != gone))
    return abs(figures(run, pages, predictions)["text"] - sum(shares) / len(shares))


def moved(
    run: Run, pages: list[Page], clean: dict[str, float], spoil: Spoil, part: str
) -> tuple[float, float]:
    """By how much a fault worsens the figure that it should, and by how much at most another one."""
    rng = Random(run.subseed(spoil.__name__))
    found = figures(run, pages, ["\n\n".join(spoil(page, rng)) for page in pages])
    others = [
        abs(found[name] - clean[name]) for name in PARTS if name != ("table" if part == "teds" else part)
    ]
    if part != "teds":
        others.append(abs(found["teds"] - clean["teds"]))
    gap = found[part] - clean[part]
    return (-gap if part == "teds" else gap), max(others)


@trial(
    paper="2412.07626",
    claim="separates",
    arms=("whole_page", "omnidocbench", "simple_match", "strict"),
    peers=("simple_match", "strict"),
    measures={
        "noise_error": Measure(
            "points", "lower", text="text figure against planted wrong letters, largest gap of five rates"
        ),
        "drop_error": Measure(
            "points", "lower", text="text figure against the share of a dropped paragraph, gap"
        ),
        "swap_order": Measure(
            "points", "higher", text="columns swapped: by how much the order figure is worse"
        ),
        "swap_others": Measure("points", "lower", text="columns swapped: largest change of any other figure"),
        "cut_text": Measure(
            "points", "lower", text="every paragraph cut in two: by how much the text figure is worse"
        ),
        "merge_teds": Measure(
            "points", "higher", text="two cells joined in every table: by how much TEDS is lower"
        ),
        "merge_others": Measure(
            "points", "lower", text="two cells joined: largest change of text, formulas or order"
        ),
    },
    minutes={"smoke": 0.5, "here": 4},
    needs=("evals",),
    fault="blocks are not matched: the page is compared as a whole",
    memory_gb=2.0,
)
def separates(run: Run) -> dict[str, float]:
    """Planted faults of a parser, and which figures of the score they move."""
    pages = page_truth(run.pick(smoke=20, here=120), run.subseed("pages"))
    clean = figures(run, pages, ["\n\n".join(page_written(page)) for page in pages])
    measured = {"noise_error": noise_error(run, pages), "drop_error": drop_error(run, pages)}
    run.progress(3, 4)
    measured["swap_order"], measured["swap_others"] = moved(run, pages, clean, swapped, "order")
    measured["merge_teds"], measured["merge_others"] = moved(run, pages, clean, merged, "teds")
    measured["cut_text"], _ = moved(run, pages, clean, cut, "text")
    return measured


@separates.upheld_if
def _(paired: Paired) -> Truth:
    noise, dropped = paired.values("noise_error"), paired.values("drop_error")
    order, teds = paired.values("swap_order"), paired.values("merge_teds")
    swap, merge = paired.values("swap_others"), paired.values("merge_others")
    return (
        paired.every("text edit equals planted noise within 1.5 points", lambda i: noise[i] <= 1.5)
        & paired.every("and a dropped paragraph's share", lambda i: dropped[i] <= 1.5)
        & paired.every("swapped columns move the order by 10 points", lambda i: order[i] >= 10)
        & paired.every("and nothing else by more than 1", lambda i: swap[i] <= 1)
        & paired.every("joined cells lower TEDS by 2 points", lambda i: teds[i] >= 2)
        & paired.every("and change nothing else by more than 1", lambda i: merge[i] <= 1)
        & paired.difference("swap_others").below(0)
    )


def read_by_tesseract(image: Any, folder: Path) -> str:
    """What Debian's Tesseract makes of a picture, its lines joined to paragraphs."""
    path = folder / "page.png"
    image.save(path)
    done = subprocess.run(
        ["tesseract", str(path), "stdout", "-l", "eng"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
    )
    paragraphs = re.split(r"\n\s*\n", done.stdout.replace("\f", "\n\n"))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())


@trial(
    paper="2412.07626",
    claim="degrades",
    arms=("clean", "blur", "watermark"),
    measures={
        "text_edit": Measure("points", "lower", text="text edit distance of Tesseract's pages, of 100"),
        "order_edit": Measure("points", "lower", text="its reading order, of 100"),
    },
    minutes={"smoke": 0.6, "here": 8},
    needs=("evals", "exe:chromium", "exe:tesseract", "module:playwright"),
    seeds={"smoke": 3, "here": 5},
    fault="the pictures are left as they are",
    memory_gb=3.0,
)
def degrades(run: Run) -> dict[str, float]:
    """A real OCR system on the same pages, drawn clean, out of focus, and with a watermark."""
    pages = page_truth(run.pick(smoke=1, here=8), run.subseed("pages"))
    for page in pages:
        attribute = page["page_info"]["page_attribute"]
        attribute["fuzzy_scan"] = run.arm == "blur" and not run.fault
        attribute["watermark"] = run.arm == "watermark" and not run.fault
    read: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for at, (image, _) in enumerate(page_draw(pages)):
            read.append(read_by_tesseract(image, Path(folder)))
            run.progress(at + 1, len(pages))
    bench = OmniDocBench()
    items = [bench.grade(page, Prediction(text), "published") for page, text in zip(pages, read, strict=True)]
    found = bench.total(items, "published")
    return {name: 100 * (found[name] or 0.0) for name in ("text_edit", "order_edit")}


@degrades.upheld_if
def _(paired: Paired) -> Truth:
    clean, blur, mark = (paired.values("text_edit", arm) for arm in ("clean", "blur", "watermark"))
    return (
        paired.every("blur worsens the text", lambda i: blur[i] > clean[i])
        & paired.every("a watermark worsens the text", lambda i: mark[i] > clean[i])
        & paired.difference("text_edit", "blur").above(0)
        & paired.difference("text_edit", "watermark").above(0)
    )
