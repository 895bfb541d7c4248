"""Papers' full texts: from HTML, PDF, plain text or Markdown to passages that know where they stand.

text = sillok.digest.texts.read_text_of("2411.19870.pdf", id="2411.19870")
papers = sillok.digest.texts.folder("papers")
papers["2411.19870"].abstract
"""

from sillok.digest.texts.files import MAX_PAGES, Folder, folder, parse_name, read_text_of

__all__ = ["MAX_PAGES", "Folder", "folder", "parse_name", "read_text_of"]
