"""Papers written for these tests, and answers of models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import chat_service
from sillok.digest.text import Listing, PaperText, Passage

KO = {
    "whats_new": "이 논문은 나무를 심는 새로운 방법인 Arbor를 제안합니다. 뿌리 표집(root sampling)을 씁니다.",
    "technical_details": "Arbor는 뿌리 표집(root sampling)과 잎 정렬(leaf alignment)의 두 단계로 이루어집니다.",
    "performance_highlights": "Forest-10 데이터셋에서 Shrub보다 2.1배 빠릅니다. 메모리는 3 GB를 씁니다.",
    "others": [],
}
EN = {
    "whats_new": "The paper proposes Arbor, a new way to plant trees in graphs with less memory.",
    "technical_details": "Arbor has two stages, root sampling and leaf alignment, trained with one loss.",
    "performance_highlights": "On Forest-10 it is 2.1 times faster than Shrub. It needs 3 GB of memory.",
    "others": [],
}


def make_paper(id: str = "2412.00001", extra: int = 0) -> PaperText:
    passages = [
        Passage("title", "", "Arbor: Planting Trees in Graphs"),
        Passage(
            "abstract",
            "Abstract",
            "We propose Arbor, a new way to plant trees in graphs. On Forest-10 it is 2.1 times faster than "
            "Shrub and needs 3 GB of memory.",
        ),
        Passage(
            "paragraph", "2 Method", "Arbor consists of root sampling and leaf alignment, with one loss."
        ),
        Passage("table", "3 Results", "Method | Time\nShrub | 21 ms\nArbor | 10 ms"),
    ]
    passages += [
        Passage("paragraph", f"{4 + n} Part {n}", f"Figure {n} of part {n} is {n}.5 %. " * 60)
        for n in range(extra)
    ]
    return PaperText(id, 1, tuple(passages), "html")


def make_listing(id: str = "2412.00001", votes: int | None = 3) -> Listing:
    return Listing(id, "Arbor: Planting Trees in Graphs", 1, ("Ada Lovelace", "Emmy Noether"), votes)


@dataclass
class Mock:
    """Inspect's mock model with a function for its answers; remembers what it was asked."""

    answer: Callable[[str, int], Any]
    prompts: list[str] = field(default_factory=list)
    systems: list[str] = field(default_factory=list)
    flying: int = 0
    most: int = 0

    @property
    def model(self) -> Any:
        from inspect_ai.model import get_model

        return get_model("mockllm/model", custom_outputs=self._call, memoize=False)

    async def _call(self, input: list[Any], tools: Any, choice: Any, config: Any) -> Any:
        import anyio
        from inspect_ai.model import ModelOutput, ModelUsage

        self.systems.append(input[0].text)
        self.prompts.append(input[-1].text)
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await anyio.sleep(0.01)
            found = self.answer(input[-1].text, len(self.prompts))
            if isinstance(found, BaseException):
                raise found
            if callable(found):
                await found()
            if isinstance(found, dict):
                found = json.dumps(found, ensure_ascii=False)
            output = (
                found if isinstance(found, ModelOutput) else ModelOutput.from_content("mockllm/model", found)
            )
            output.usage = ModelUsage(input_tokens=100, output_tokens=10, total_tokens=110)
            return output
        finally:
            self.flying -= 1


@pytest.fixture
def mock() -> Callable[..., Mock]:
    return Mock


@pytest.fixture
def ko() -> dict[str, Any]:
    return dict(KO)


@pytest.fixture
def en() -> dict[str, Any]:
    return dict(EN)


@pytest.fixture
def paper() -> Callable[..., PaperText]:
    return make_paper


@pytest.fixture
def listing() -> Callable[..., Listing]:
    return make_listing


@pytest.fixture
def service() -> Iterator[chat_service.Service]:
    with chat_service.serve() as found:
        found.answer = json.dumps(EN)
        yield found
