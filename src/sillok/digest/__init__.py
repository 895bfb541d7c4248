"""Daily Papers digests: read and write.

    digest = sillok.digest.read("2024-12-04.md")
    digest.entries[0].votes
    sillok.digest.write(digest)            # the same text

A file that holds several digests gives a list of them; what cannot be read at all raises `DigestError`.
"""

from sillok.digest.model import (
    Digest,
    DigestError,
    Entry,
    Media,
    Section,
    Warning_,
    arxiv_id,
    arxiv_url,
)
from sillok.digest.reader import read, read_bytes, read_text
from sillok.digest.writer import write

__all__ = [
    "Digest",
    "DigestError",
    "Entry",
    "Media",
    "Section",
    "Warning_",
    "arxiv_id",
    "arxiv_url",
    "read",
    "read_bytes",
    "read_text",
    "write",
]
