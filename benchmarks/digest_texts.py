"""Parsing papers: CPU seconds and peak memory for 50 papers of 30 pages, as HTML and as PDF.

    python benchmarks/digest_texts.py [--papers 50] [--pages 30]

Writes papers with invented text (two columns, headings, captions, tables, references; and the same amount as
LaTeXML's HTML), then parses them all in a fresh process per form. Memory is the process's peak resident set.
Fetching, parsing and checking together must stay under 60 s of CPU and 1 GB.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS, MEGABYTES = 60, 1000
FORMS = ("html", "pdf")


def words(draw: random.Random, count: int) -> list[str]:
    """Return invented words, some of them figures."""
    return [
        f"{draw.uniform(0, 99):.1f}%" if draw.random() < 0.04 else
        "".join(draw.choices("abcdefghilmnoprstu", k=draw.randint(2, 10)))
        for _ in range(count)
    ]  # fmt: skip


def pdf(pages: int, seed: int) -> bytes:
    """Return a paper in two columns as PDF; page streams are written by hand, which is quick."""
    import pymupdf

    draw = random.Random(seed)
    document = pymupdf.open()
    for number in range(1, pages + 1):
        page = document.new_page(width=612, height=792)
        writers = {size: pymupdf.TextWriter(page.rect) for size in (9, 10, 12)}
        fonts = {9: pymupdf.Font("helv"), 10: pymupdf.Font("helv"), 12: pymupdf.Font("hebo")}

        def put(x: float, y: float, text: str, size: int, writers=writers, fonts=fonts) -> None:  # type: ignore[no-untyped-def]
            writers[size].append((x, y), text, fontsize=size, font=fonts[size])

        put(300, 770, str(number), 9)
        for column, x in enumerate((60, 316)):
            y = 72.0
            if column == 0 and number % 3 == 1:
                put(x, y, f"{number // 3 + 1} Section {number}", 12)
                y += 20
            if column == 1:
                put(x, y, f"Table {number}: Scores of page {number} in percent.", 9)
                for _ in range(8):
                    y += 11
                    for index, cell in enumerate(
                        [*words(draw, 1), *(f"{draw.uniform(0, 99):.1f}" for _ in range(4))]
                    ):
                        put(x + 48 * index, y, cell, 9)
                y += 24
            while y < 730:
                put(x, y, " ".join(words(draw, 7))[:50], 10)
                y += 12
        for size, writer in writers.items():
            del size
            writer.write_text(page)
    return bytes(document.tobytes(deflate=True))


def html(pages: int, seed: int) -> bytes:
    """Return a paper of about as many words as LaTeXML's HTML, with mathematics and tables."""
    draw = random.Random(seed)
    semantics = "<semantics><mi>x</mi><annotation>x</annotation></semantics>"
    math = f'<math alttext="x_{{1}}^{{2}}" class="ltx_Math">{semantics}</math>'
    parts = ['<html><head><title>T</title></head><body><article class="ltx_document">']
    parts.append('<h1 class="ltx_title ltx_title_document">A paper</h1>')
    for number in range(1, pages + 1):
        parts.append(
            f'<section class="ltx_section"><h2 class="ltx_title ltx_title_section">'
            f'<span class="ltx_tag ltx_tag_section">{number} </span>Section</h2>'
        )
        for _ in range(8):
            text = f" {math} ".join(" ".join(words(draw, 20)) for _ in range(4))
            parts.append(f'<div class="ltx_para"><p class="ltx_p">{text}.</p></div>')
        rows = "".join(
            f'<tr class="ltx_tr">{"".join(f"<td class=ltx_td>{word}</td>" for word in words(draw, 6))}</tr>'
            for _ in range(10)
        )
        parts.append(f'<table class="ltx_tabular">{rows}</table></section>')
    return "".join([*parts, "</article></body></html>"]).encode()


def measure(folder: Path) -> None:
    """Parse a folder and print passages, CPU seconds, and peak memory in MB (run in a process of its own)."""
    from sillok.digest import texts

    start = time.process_time()
    papers = texts.folder(folder)
    passages = sum(len(papers[id].passages) for id in papers)
    seconds = time.process_time() - start
    print(passages, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--papers", type=int, default=50)
    parser.add_argument("--pages", type=int, default=30)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        measure(options.child)
        return
    make = {"html": html, "pdf": pdf}
    for form in FORMS:
        with tempfile.TemporaryDirectory() as folder:
            for index in range(options.papers):
                data = make[form](options.pages, index)
                Path(folder, f"2412.{index:05d}.{form}").write_bytes(data)
            command = [sys.executable, __file__, "--child", folder]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            passages, seconds, megabytes = int(output[0]), float(output[1]), float(output[2])
        print(
            f"{form}: {options.papers} papers of {options.pages} pages, {passages:,} passages: {seconds:.1f} s of CPU "
            f"(wanted with checking: {SECONDS}), {megabytes:.0f} MB at the peak (wanted: {MEGABYTES})"
        )


if __name__ == "__main__":
    main()
