"""A digest in the archive's form and a summary as it comes from summarising, both of invented papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sillok.digest.model import Media
from sillok.digest.summarise import Checked, Summary
from sillok.digest.text import Listing

DIGEST = """\
## Daily Papers (2024-12-04)

### [Planting Trees: Roots [and Leaves] in Graphs](https://arxiv.org/abs/2412.00001)

![](https://cdn.example.org/social-thumbnails/papers/2412.00001.png)

Vote: 38

Authors: Ada Lovelace, Emmy Noether

- ***What's New***: 나무를 심는 새로운 방법입니다.
- ***Technical Details***: 1. Roots are drawn. 2. Leaves follow.
- ***Performance Highlights***: 3.5 times more leaves.

### [A Second Paper](https://arxiv.org/abs/2412.00002)

![](https://cdn.example.org/social-thumbnails/papers/2412.00002.png)

Vote: -

Authors: Kurt Gödel

- **What's New**: The older marks.
- **Limits**: Another name.

"""


@pytest.fixture
def text() -> str:
    return DIGEST


def make_summary(
    id: str = "2412.00001", votes: int | None = 3, title: str = "Arbor", **changes: Any
) -> Summary:
    picture = Media("image", (f"https://cdn.example.org/{id}.png",))
    listing = Listing(id, title, 1, ("Ada Lovelace", "Emmy Noether"), votes, picture=picture)
    sections = (
        ("What's New", f"{id}: 나무를 **심는** 새로운 방법입니다. [⚠ 논문에서 확인되지 않음]"),
        ("Technical Details", "1. 뿌리를 뽑습니다.\n2. 잎을 정렬합니다."),
        ("Performance Highlights", "Shrub보다 2.1배 빠릅니다."),
    )
    finding = Checked(
        "What's New",
        f"{id}: 나무를 심는 새로운 방법입니다.",
        "not found",
        ({"kind": "paragraph", "section": "1 <b>Intro", "text": "Trees & <script>x</script>", "page": None},),
        ("Foo: no such name in the paper",),
    )
    values = {"sections": sections, "model": "openai/gpt-4o", "findings": (finding,)} | changes
    return Summary(listing, "ko", **values)


@pytest.fixture
def summary() -> Callable[..., Summary]:
    return make_summary
