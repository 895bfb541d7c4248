"""One paper's full text: what the cache has, else arXiv's HTML, else its PDF, else the abstract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sillok.digest.fetch.http import Client, FetchError
from sillok.digest.text import Listing, PaperText, Passage

#: HTML whose paragraphs have fewer characters than this is a failed conversion, where there is a PDF.
THIN = 2000

_PLACES = (("html", "html", ".html"), ("pdf", "pdf", ".pdf"))


def full_text(client: Client, id: str, version: int, listing: Listing | None) -> PaperText:
    """Return the text of one version of a paper; the file that it is read from is kept for ever.

    Raises:
        NoNetwork: arXiv cannot be reached, and the paper is not in the cache.
        FetchError: arXiv does not answer properly, and the paper is not in the cache.
    """
    if (kept := cached(client, id, version)) is not None:
        return with_abstract(kept, listing)
    text = with_abstract(_fetched(client, id, version, listing), listing)
    if listing is not None and listing.withdrawn:
        return replace(text, warnings=(*text.warnings, "the paper was withdrawn"))
    return text


def with_abstract(text: PaperText, listing: Listing | None) -> PaperText:
    """The text; for a file without any (a scanned PDF), the listing's abstract with the file's warnings."""
    if text.passages or listing is None:
        return text
    return abstract_of(listing, text.version, *text.warnings)


def _fetched(client: Client, id: str, version: int, listing: Listing | None) -> PaperText:
    problems: list[str] = []
    failed: FetchError | None = None
    thin: PaperText | None = None
    for kind, place, suffix in _PLACES:
        url = f"{client.sites.arxiv}/{place}/{id}v{version}"
        try:
            answer = client.get(url, whole=_ends(kind))
        except FetchError as error:
            failed = error
            problems.append(str(error))
            continue
        if answer.status != 200 or not _is(kind, answer.body):
            problems.append(
                f"{url}: {answer.status}" if answer.status != 200 else f"{url}: no {kind.upper()}"
            )
            continue
        try:
            text = _read(answer.body, kind, id, version)
        except ValueError as error:
            problems.append(str(error))
            continue
        if kind == "html" and _characters(text) < THIN:
            thin = text
            continue
        client.cache.write(client.cache.paper(id, version, suffix), answer.body)
        return text
    if thin is not None and _characters(thin):
        return thin
    if failed is not None:
        raise failed
    if listing is None:
        raise FetchError(f"arXiv has no text of {id}v{version}: {'; '.join(problems)}")
    return abstract_of(listing, version, f"no full text: {'; '.join(problems)}")


def cached(client: Client, id: str, version: int) -> PaperText | None:
    """The text of a version that lies in the cache, or None; a file that is damaged there is removed."""
    for kind, _, suffix in _PLACES:
        path = client.cache.paper(id, version, suffix)
        if path.is_file():
            try:
                return _read(path.read_bytes(), kind, id, version)
            except ValueError:
                path.unlink()
    return None


def abstract_of(listing: Listing, version: int | None, *warnings: str) -> PaperText:
    """A listing's title and abstract as a paper's text."""
    passages = [Passage("title", "", listing.title)]
    if listing.abstract:
        passages.append(Passage("abstract", "", listing.abstract))
    return PaperText(listing.id, version, tuple(passages), "abstract", warnings)


def _read(data: bytes, kind: str, id: str, version: int) -> PaperText:
    from sillok.digest import texts

    return texts.read_text_of(data, id=id, version=version, kind="html" if kind == "html" else "pdf")


def _is(kind: str, body: bytes) -> bool:
    if kind == "pdf":
        return b"%PDF-" in body[:1024]
    return b"ltx_" in body or b"<article" in body


def _ends(kind: str) -> Callable[[bytes], bool]:
    """Whether a body goes to the end of what it says to be."""

    def whole(body: bytes) -> bool:
        if kind == "pdf":
            return b"%PDF-" not in body[:1024] or b"%%EOF" in body[-4096:]
        return b"</html>" in body[-4096:].lower() or b"<html" not in body[:4096].lower()

    return whole


def _characters(text: PaperText) -> int:
    return sum(len(passage.text) for passage in text.passages if passage.kind == "paragraph")
