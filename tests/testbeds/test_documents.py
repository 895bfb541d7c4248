"""Document pages: ground truth in the published format, noise at stated rates, pictures that show what it says."""

import shutil
from random import Random

import pytest

from sillok.testbeds.documents import degrade, ocr_noise, page_draw, page_generate, page_truth, page_written


def test_pages_are_the_same_for_a_seed_and_others_for_another():
    assert page_truth(3, 0) == page_truth(4, 0)[:3]
    assert page_truth(3, 0) != page_truth(3, 1)
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        page_truth(-1, 0)


def test_pages_hold_what_the_published_format_asks_for():
    for page in page_truth(20, 3):
        blocks = page["layout_dets"]
        assert [block["anno_id"] for block in blocks] == list(range(len(blocks)))
        orders = [block["order"] for block in blocks if block["order"]]
        assert orders == list(range(1, len(orders) + 1))
        for block in blocks:
            name = {"table": "html", "equation_isolated": "latex"}.get(block["category_type"], "text")
            assert block[name]
        kinds = {block["category_type"] for block in blocks}
        assert {"title", "text_block", "table", "equation_isolated", "header", "page_number"} <= kinds
        texts = [block["text"] for block in blocks if block["category_type"] == "text_block"]
        assert len(set(texts)) == len(texts)
        assert len(page_written(page)) == len(orders)


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.2, 1.0])
def test_noise_has_its_rate_and_spares_marks_and_spaces(rate):
    text = "A line of text, of 34 letters; no more!" * 5
    letters = sum(letter.isalnum() for letter in text)
    noisy, wrong = ocr_noise(text, rate, Random(0))
    assert wrong == round(rate * letters)
    assert sum(a != b for a, b in zip(text, noisy, strict=True)) == wrong
    assert all(a == b for a, b in zip(text, noisy, strict=True) if not a.isalnum())
    with pytest.raises(ValueError, match="rate must be from 0 to 1, got 2"):
        ocr_noise(text, 2, Random(0))


def test_blur_is_no_less_than_nothing():
    with pytest.raises(ValueError, match="blur must not be negative"):
        degrade(None, -1.0)


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="pages are drawn by Debian's Chromium")
def test_pictures_show_blocks_where_their_polygons_say():
    import numpy as np

    (image, page), (marked, _) = page_draw(
        [_plain(page_truth(1, 5)[0]), _plain(page_truth(1, 5)[0], watermark=True)]
    )
    ink = np.asarray(image.convert("L")) < 128
    covered = np.zeros_like(ink)
    bottom = {}
    for block in page["layout_dets"]:
        left, top, right, _, _, low, _, _ = (round(value) for value in block["poly"])
        inside = ink[top : low + 1, left : right + 1]
        assert inside.any(), block["category_type"]
        covered[top : low + 1, left : right + 1] = True
        bottom[block["order"]] = (left, top)
    assert (ink & ~covered).sum() <= 0.002 * ink.sum()  # nothing stands outside of the blocks
    if page["page_info"]["page_attribute"]["layout"] == "single_column":
        places = [bottom[order][1] for order in sorted(order for order in bottom if order)]
        assert places == sorted(places)
    assert (np.asarray(marked.convert("L")) < 200).sum() > 1.2 * (np.asarray(image.convert("L")) < 200).sum()


def _plain(page, watermark=False):
    page["page_info"]["page_attribute"]["watermark"] = watermark
    return page


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="pages are drawn by Debian's Chromium")
def test_generated_pages_have_pictures_of_their_size():
    ((image, page),) = page_generate(1, 2)
    assert image.size == (page["page_info"]["width"], page["page_info"]["height"])
    assert all(len(block["poly"]) == 8 for block in page["layout_dets"])


def test_without_chromium_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="drawn by Chromium, which is not installed"):
        page_draw(page_truth(1, 0))
