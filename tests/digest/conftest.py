"""A digest in the archive's form, with invented papers, and where the real digests lie."""

from __future__ import annotations

import pytest

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
