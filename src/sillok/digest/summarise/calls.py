"""Model calls: bounded in number and time, cached one file each, their failures named in one line.

An answer is kept only after it was read as what was asked for, in a file named by everything it depends on:
the model, the messages (with the paper's text and the language) and the settings. A run that is killed goes on
from there, and a run that is repeated asks nothing. Keys and other secrets are in none of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sillok.digest.files import write_if_changed
from sillok.digest.secrets import brief
from sillok.digest.summarise.budget import estimate_tokens
from sillok.digest.summarise.language import Language
from sillok.digest.summarise.prompts import again, system
from sillok.digest.summarise.reply import BadReply
from sillok.digest.summarise.summary import Usage

T = TypeVar("T")

#: Answers that are asked for before a paper falls back to its own sentences.
ATTEMPTS = 3

#: Seconds between two looks at whether another run is done with a paper.
WAIT = 0.2


class CallError(Exception):
    """A model that gave no usable answer; `code` is one of the notes' codes, the message one line."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Tally:
    """Tokens of one paper: `used` by the answers in its summary, `spent` by calls of this run."""

    used: Usage = field(default_factory=Usage)
    spent: Usage = field(default_factory=Usage)


@dataclass(slots=True)
class Caller:
    """One model with its limits.

    Attributes:
        model: Inspect's model.
        name: its name, for the cache and for readers.
        slots: bounds the calls at one time.
        timeout: seconds for one answer, the provider's own retries included.
        cache: the folder of answers, or None for no cache.
        refused: set once the service refused the key or could not be reached: no further call is made.
        plain: set once the service refused a schema: the form of the answer stands in the prompt alone.
        report: gets one line where an answer cannot be kept.
        instructions: the system message; by default that of a writer of summaries.
    """

    model: Any
    name: str
    slots: asyncio.Semaphore
    connections: int
    timeout: float
    cache: Path | None
    language: Language
    settings: dict[str, Any] = field(default_factory=dict)
    refused: CallError | None = None
    plain: bool = False
    report: Callable[[str], None] = lambda line: None
    instructions: str = ""

    def __post_init__(self) -> None:
        self.instructions = self.instructions or system(self.language)

    async def ask(
        self, paper: str, stage: str, prompt: str, read: Callable[[str], T], schema: Any, tally: Tally
    ) -> T:
        """Return the answer to a prompt, read by `read`; from the cache where it is there.

        Raises:
            CallError: no usable answer after `ATTEMPTS`, or a call that failed.
        """
        path = self._path(paper, stage, prompt)
        if path is not None and (kept := _load(path)) is not None:
            try:
                value = read(kept["answer"])
                tally.used += Usage(**kept["usage"])
                return value
            except (BadReply, TypeError, KeyError):
                pass  # from another version of Sillok: ask anew
        problem: BadReply | None = None
        for _ in range(ATTEMPTS):
            async with self.slots:
                if self.refused is not None:
                    raise self.refused
                answer, usage = await self._call(prompt, problem, schema)
            tally.spent += usage
            try:
                value = read(answer)
            except BadReply as bad:
                problem = bad
                continue
            tally.used += usage
            if path is not None:
                kept = {"model": self.name, "stage": stage, "answer": answer, "usage": asdict(usage)}
                self._keep(path, kept)
            return value
        assert problem is not None
        raise CallError(problem.code, f"{self.name}: {ATTEMPTS} answers of no use (the last: {problem})")

    @asynccontextmanager
    async def alone(self, paper: str) -> AsyncIterator[None]:
        """Keep other runs that share the cache from paying for the same paper; wait for one that is at it."""
        if self.cache is None:
            yield
            return
        import filelock

        folder = self.cache / paper.replace("/", "_")
        lock = filelock.FileLock(folder / ".lock")
        waiting = False
        while True:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
                break
            except filelock.Timeout:
                if not waiting:
                    self.report(f"{paper}: another run is at this paper; its answers are waited for")
                waiting = True
                await asyncio.sleep(WAIT)
            except OSError:
                break  # a disk that cannot be written: `_keep` says so
        try:
            yield
        finally:
            lock.release()

    def _keep(self, path: Path, kept: dict[str, Any]) -> None:
        """Write an answer to the cache; a full disk costs the next run a call, and this one nothing."""
        try:
            write_if_changed(path, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
        except OSError as error:
            self.report(f"{self.name}: an answer cannot be kept for the next run ({brief(error)})")

    async def _call(self, prompt: str, problem: BadReply | None, schema: Any) -> tuple[str, Usage]:
        from inspect_ai.model import ChatMessageSystem, ChatMessageUser

        asked = self.instructions
        text = prompt if problem is None else f"{prompt}\n\n{again(str(problem), self.language)}"
        messages = [ChatMessageSystem(content=asked), ChatMessageUser(content=text)]
        try:
            async with asyncio.timeout(self.timeout):
                output = await self.model.generate(messages, config=self._config(schema))
        except Exception as error:
            failure = failed(error, self.name)
            if failure.code in ("key", "unreachable"):
                self.refused = failure
            if not self.plain and _status(error) == 400 and re.search("schema|response_format", str(error)):
                self.plain = True  # a service that serves no schema: JSON in the answer will do
                return await self._call(prompt, problem, schema)
            raise failure from None
        answer = output.completion if output.choices else ""
        if output.choices and output.stop_reason == "content_filter":
            answer = answer if answer.lstrip().startswith("{") else "I'm sorry, filtered."
        usage = output.usage
        if usage is None:
            return answer, Usage(estimate_tokens(asked + text), estimate_tokens(answer), 1, True)
        cached = (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
        return answer, Usage(usage.input_tokens + cached, usage.output_tokens, 1)

    def _config(self, schema: Any) -> Any:
        from inspect_ai.model import GenerateConfig, ResponseSchema
        from inspect_ai.util import json_schema

        values: dict[str, Any] = {"max_tokens": 4096, "max_retries": 3, **self.settings}
        values |= {"max_connections": self.connections, "timeout": max(int(self.timeout), 1)}
        if not self.plain:
            values["response_schema"] = ResponseSchema(
                name=schema.__name__.lower(), json_schema=json_schema(schema), strict=True
            )
        return GenerateConfig(**values)

    def _path(self, paper: str, stage: str, prompt: str) -> Path | None:
        if self.cache is None:
            return None
        parts = [self.name, self.instructions, prompt, json.dumps(self.settings, sort_keys=True)]
        number = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:24]
        return self.cache / paper.replace("/", "_") / f"{stage}-{number}.json"


async def open_model(
    stack: AsyncExitStack, model: Any, model_args: dict[str, Any]
) -> tuple[Any, CallError | None]:
    """Return Inspect's model of a name; a missing or refused key is returned in its place, for all calls to tell.

    Raises:
        ImportError: Inspect is missing.
        ValueError: a model that Inspect does not know.
    """
    try:
        from inspect_ai.model import Model, get_model
    except ImportError:
        raise ImportError("a model needs Inspect AI: pip install 'sillok[digest]'") from None
    if isinstance(model, Model):
        return model, None
    try:
        return await stack.enter_async_context(get_model(model, memoize=False, **model_args)), None
    except Exception as error:
        failure = failed(error, str(model))
        if failure.code not in ("key", "no key"):
            raise ValueError(opened(error, str(model))) from None
        return None, failure


def in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in a thread of its own where a loop is running already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def failed(error: BaseException, name: str) -> CallError:
    """Return a failed call as one line: which model, and what its service said. Keys are not in it."""
    chain = list(_chain(error))
    kinds = " ".join(type(one).__name__ for one in chain)
    statuses = {_status(one) for one in chain}
    text = " ".join(str(one) for one in chain)
    if re.search(
        r"(?i)(?:key|token)\b.*defined in the environment|api[_ ]key client option must be set", text
    ):
        return CallError("no key", f"{name}: no key in the environment")
    if statuses & {401, 403} or re.search("Authentication|PermissionDenied", kinds):
        return CallError("key", f"{name}: the service refused the key")
    if re.search("ConnectError|ConnectTimeout|ConnectionRefused|gaierror", kinds):
        return CallError("unreachable", f"{name}: the service cannot be reached")
    if re.search("Timeout", kinds):
        return CallError("timeout", f"{name}: no answer in time")
    if 429 in statuses:
        return CallError(
            "error", f"{name}: the service takes no more calls for now, or the quota is used up (429)"
        )
    shown = chain[1] if len(chain) > 1 and hasattr(error, "last_attempt") else error
    return CallError("error", f"{name}: {brief(shown)}")


def opened(error: BaseException, model: str) -> str:
    """Return in one line why Inspect cannot make a model, without the marks of its console."""
    text = re.sub(r"\[/?[a-z]+\]", "", brief(error, 300))
    text = text.replace("PrerequisiteError: ", "").replace("ERROR: ", "")
    return f"model: {model!r} cannot be used: {text}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen and len(seen) < 10:
        seen.add(id(one))
        yield one
        last = getattr(one, "last_attempt", None)  # tenacity's RetryError
        one = one.__cause__ or (last.exception() if last is not None else None) or one.__context__


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return status if isinstance(status, int) else None


def _load(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
