"""Document pages with exact ground truth in OmniDocBench's published format, drawn or as data alone; and OCR noise.

`page_truth` makes pages as data, in milliseconds; `page_draw` draws such pages with Debian's Chromium and takes the
place of every block from its layout; `page_generate` does both. `ocr_noise` and `degrade` spoil text and pictures at
stated rates.
"""

from sillok.testbeds.documents.content import page_truth, page_written
from sillok.testbeds.documents.draw import page_draw, page_generate
from sillok.testbeds.documents.noise import degrade, ocr_noise

__all__ = ["degrade", "ocr_noise", "page_draw", "page_generate", "page_truth", "page_written"]
