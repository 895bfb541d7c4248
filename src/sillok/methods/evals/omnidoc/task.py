"""The Inspect task of OmniDocBench: a page's picture to Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText
from inspect_ai.solver import generate

from sillok.methods.evals.benchmark import Record
from sillok.methods.evals.omnidoc.bench import OmniDocBench
from sillok.methods.evals.omnidoc.page import check_page, page_key, page_name
from sillok.methods.evals.predictions import Mode

DATA = "OmniDocBench.json"
PROMPT = (
    "Write down everything on this page as Markdown, in the order in which it is read. Headings and paragraphs as "
    "text, one empty line between two; tables as HTML (<table>, rowspan and colspan where cells are joined); formulas "
    "that stand on their own as LaTeX between $$ and $$, those within a line between $ and $. Leave out pictures. "
    "Reply with the page's content and nothing else."
)


def load_pages(source: str | Path) -> tuple[list[dict[str, Any]], Path]:
    """Pages of the published format, and the folder that their pictures are in.

    Args:
        source: a folder with ``OmniDocBench.json`` and ``images/``, a JSON file of that format, or the id of a data set
            on the Hugging Face Hub, which is downloaded.

    Raises:
        ValueError: nothing of that kind is there, or the file is in another format; the message names it.
    """
    path = Path(source)
    if not path.exists():
        path = _downloaded(str(source))
    if path.is_dir():
        files = [path / DATA, *sorted(path.glob("OmniDocBench*.json"))]
        found = next((file for file in files if file.is_file()), None)
        if found is None:
            raise ValueError(f"source: {path} holds no {DATA}")
        path = found
    try:
        pages = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"source: {path} is no file of OmniDocBench's ({error})") from None
    if not isinstance(pages, list) or not pages:
        raise ValueError(f"source: {path} holds no list of pages")
    for at, page in enumerate(pages):
        check_page(page, at)
    return pages, path.parent


def _downloaded(repository: str) -> Path:
    if repository.count("/") != 1 or repository.startswith((".", "/")):
        raise ValueError(
            f"source: {repository!r} is neither a folder, nor a file, nor a data set's id on the Hub"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ValueError(f"source: to download {repository}, pip install huggingface_hub") from None
    try:
        folder = snapshot_download(repository, repo_type="dataset", allow_patterns=[DATA, "images/*"])
    except Exception as error:  # whatever kept the Hub from answering is one line
        raise ValueError(
            f"source: {repository} could not be downloaded ({type(error).__name__}: {error})"
        ) from None
    return Path(folder)


def _picture(page: Record, folder: Path) -> Path:
    inside = str(page["page_info"]["image_path"])
    for place in (folder / inside, folder / "images" / page_name(page)):
        if place.is_file():
            return place
    raise ValueError(f"source: there is no picture {inside} in {folder} or its folder images")


def _why(pages: Sequence[Record], bench: OmniDocBench, language: str | None) -> list[str]:
    why = ["the prompt is in Sillok's words"]
    if language is not None:
        why.append(f"only pages in {language}")
    other = {981: "1.0", 1355: "1.5"}.get(len(pages))
    if other not in (None, bench.version):
        why.append(f"the data are of version {other}, and the rules of {bench.version}")
    return why


@task
def omnidocbench(
    source: str = "opendatalab/OmniDocBench",
    *,
    version: str = "1.5",
    match: str = "quick_match",
    language: str | None = None,
    limit: int | None = None,
    mode: Mode = "published",
) -> Task:
    """OmniDocBench (arXiv 2412.07626): a page's picture to Markdown, scored by text, formulas, tables and order.

    Args:
        source: a folder with ``OmniDocBench.json`` and ``images/``, the JSON file, or a data set's id on the Hub.
        version: of the rules, "1.5" or "1.0".
        match: "quick_match" as on the board, "simple_match" or "no_split".
        language: only pages of this language ("english", "simplified_chinese", "en_ch_mixed").
        limit: only the first so many pages.
        mode: "published" or "strict" scoring.
    """
    pages, folder = load_pages(source)
    bench = OmniDocBench(version, match=match)
    why = _why(pages, bench, language)
    if language is not None:
        spoken = [page["page_info"].get("page_attribute", {}).get("language") for page in pages]
        pages = [page for page, its in zip(pages, spoken, strict=True) if its == language]
        if not pages:
            known = ", ".join(sorted({str(its) for its in spoken}))
            raise ValueError(f"language must be one that pages have ({known}), not {language!r}")
    pages = pages[:limit]
    samples = [Sample(input=[_message(_picture(page, folder))], id=page_key(page)) for page in pages]
    return Task(
        dataset=MemoryDataset(samples, name="omnidocbench"),
        solver=generate(),
        scorer=bench.scorer(pages, mode),
        metadata=bench.metadata(why),
    )


def _message(picture: Path) -> ChatMessageUser:
    return ChatMessageUser(content=[ContentImage(image=str(picture)), ContentText(text=PROMPT)])
