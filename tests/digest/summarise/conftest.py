"""Papers written for these tests, answers of models, and a service of the true form on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

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


@dataclass
class Service:
    """A chat service as OpenAI's, on loopback."""

    url: str
    status: int = 200
    answer: str = ""
    delay: float = 0.0
    refuse_schema: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)
    flying: int = 0
    most: int = 0


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service("")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                found.bodies.append(body)
                found.flying += 1
                found.most = max(found.most, found.flying)
            time.sleep(found.delay)
            status, error = (
                found.status,
                {"error": {"message": "no", "type": "t", "param": None, "code": None}},
            )
            if status == 401:
                error["error"]["message"] = f"Incorrect API key provided: {self.headers['Authorization']}"
            if found.refuse_schema and "response_format" in body:
                status, error["error"]["message"] = 400, "response_format json_schema is not supported"
            message = {"role": "assistant", "content": found.answer}
            choice = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}
            usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
            reply = {
                "id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice],
                "usage": usage,
            } if status == 200 else error  # fmt: skip
            data = json.dumps(reply).encode()
            with lock:
                found.flying -= 1
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the caller was killed

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    found.answer = json.dumps(EN)
    yield found
    server.shutdown()
    server.server_close()
