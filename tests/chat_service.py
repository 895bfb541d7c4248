"""A chat service of the form of OpenAI's, on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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


@contextmanager
def serve() -> Iterator[Service]:
    """Run a service on a free port of loopback."""
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
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
