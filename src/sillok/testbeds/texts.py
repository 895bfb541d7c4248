"""The texts of the corpus testbed that the running interpreter has at hand: the standard library's code, and its prose.

Nothing is shipped: both are read where the testbed runs, and differ a little between Python versions.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import io
import re
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path

SPLITS = ("train", "val", "test")
# left out: other people's packages, tests, and tables that are data rather than text
_SKIPPED = {
    "site-packages",
    "dist-packages",
    "__pycache__",
    "test",
    "tests",
    "idle_test",
    "encodings",
    "ensurepip",
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# marks of code, markup and tables, which prose does without
_NO_PROSE = re.compile(r"::|\\|[{}<>|~^$]|==|\s=\s|__|\*\*|https?:")
_SENTENCES = re.compile(r"[A-Z].*[.!?]", re.DOTALL)


@functools.cache
def files() -> tuple[Path, ...]:
    """The source files of the standard library that exist here, sorted by their path inside it.

    Raises:
        ValueError: the interpreter has no folder of sources (a zipped library).
    """
    root = Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).parts
        if not _SKIPPED.intersection(parts) and not path.name.startswith("_sysconfigdata"):
            found["/".join(parts)] = path
    if len(found) < 50:
        raise ValueError(f"testbed 'corpus' needs the standard library's sources; found {len(found)} files")
    return tuple(found[key] for key in sorted(found))


def split_of(relative: str) -> str:
    """The split of a file, by a hash of its path in the library: one tenth each for val and test."""
    bucket = hashlib.sha256(relative.encode()).digest()[0] % 10
    return {0: "val", 1: "test"}.get(bucket, "train")


def code(split: str) -> list[bytes]:
    """The source files of a split, as they are (line ends made one, and no byte 0)."""
    return [path.read_bytes().replace(b"\r\n", b"\n").replace(b"\0", b"") for path in _files_of(split)]


@functools.cache
def prose(split: str) -> list[bytes]:
    """The running text of a split: one document for each file (its docstrings and comments) and help topic.

    Paragraphs are one line each. One that occurs twice, as licences do, is kept once, in val before test
    before train, so that the splits share none.
    """
    seen = {line for other in _before(split) for text in prose(other) for line in text.splitlines()}
    documents = []
    for blocks in _written(split):
        kept = []
        for paragraph in blocks:
            line = paragraph.encode()
            if line not in seen:
                seen.add(line)
                kept.append(line)
        if kept:
            documents.append(b"\n".join(kept))
    return documents


def paragraphs(text: str) -> list[str]:
    """The paragraphs of `text` that are sentences, each as one line: no code, tables, headings or markup."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        if ">>>" in block:
            continue
        line = " ".join(block.split())
        letters = sum(c.isalpha() or c == " " for c in line)
        if (
            len(line) >= 32
            and line.count(" ") >= 5
            and _SENTENCES.fullmatch(line)
            and not _NO_PROSE.search(line)
            and letters >= 0.88 * len(line)
        ):
            found.append(line)
    return found


def comments(source: str) -> str:
    """The comments of a source, those on adjoining lines as one block, with blank lines between blocks."""
    lines: list[str] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                lines.append("")
            last = token.start[0]
            lines.append(token.string.lstrip("#!: "))
    return "\n".join(lines).strip()


def _before(split: str) -> tuple[str, ...]:
    return {"val": (), "test": ("val",), "train": ("val", "test")}[split]


def _files_of(split: str) -> list[Path]:
    root = Path(sysconfig.get_path("stdlib"))
    return [path for path in files() if split_of(path.relative_to(root).as_posix()) == split]


def _written(split: str) -> Iterator[list[str]]:
    """The paragraphs of each file and help topic of a split."""
    from pydoc_data.topics import topics

    for path in _files_of(split):
        if path.parent.name == "pydoc_data":
            continue  # the topics themselves, which come below
        try:
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source)
            remarks = comments(source)
        except (SyntaxError, UnicodeDecodeError, tokenize.TokenError):
            continue  # templates, and samples of other encodings
        found = []
        for node in ast.walk(tree):
            if isinstance(node, _DOCUMENTED):
                found += paragraphs(inspect.cleandoc(ast.get_docstring(node) or ""))
        yield found + paragraphs(remarks)
    for name in sorted(topics):
        if split_of(f"pydoc_data/topics/{name}") == split:
            yield paragraphs(topics[name])
