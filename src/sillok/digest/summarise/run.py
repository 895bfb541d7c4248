"""Summarising a list of papers: read, write, check, mend, mark; one paper's failure is never another's."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from sillok.digest.marks import mark_sentences, note
from sillok.digest.model import Entry, Section
from sillok.digest.secrets import brief
from sillok.digest.summarise import prompts
from sillok.digest.summarise.budget import Plan, estimate_tokens, pack, plan
from sillok.digest.summarise.calls import Caller, CallError, Tally, in_loop, open_model
from sillok.digest.summarise.extract import extract
from sillok.digest.summarise.language import Language, language_of
from sillok.digest.summarise.summary import Checked, Summary
from sillok.digest.text import Listing, PaperText, Passage

T = TypeVar("T")
Sections = tuple[tuple[str, str], ...]
Checker = Callable[[Entry, PaperText], Sequence[Any]]
Texts = Callable[[str, "int | None"], PaperText] | Mapping[str, PaperText]

#: How often failed sentences go back to the writer.
ROUNDS = 2

DEFAULT = "default"


def summarise(
    papers: Iterable[Listing | PaperText],
    *,
    model: Any = None,
    language: str = "ko",
    texts: Texts | None = None,
    checker: Checker | str | None = DEFAULT,
    budget: int = 24_000,
    ceiling: int = 200_000,
    connections: int = 4,
    timeout: float = 300.0,
    cache: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    model_args: Mapping[str, Any] | None = None,
    report: Callable[[str], None] | None = None,
) -> list[Summary]:
    """Summarise papers, check every sentence against the paper, and mark what fails.

    Args:
        papers: listings, whose texts come from `texts`, or texts themselves.
        model: a name that Inspect knows ("openai/gpt-4o", "hf/..."), one of its models, or None: then the
            summaries are the papers' own sentences, and say so.
        language: of the summaries: a tag ("ko", "pt-BR") or a name ("Korean").
        texts: returns the text of a paper by id and version, or a mapping by id; arXiv's by default.
        checker: called with an entry and a text, returns findings; `sillok.digest.check` by default, None
            for no check.
        budget: tokens of a paper's text in one call; longer papers are read in parts, by section.
        ceiling: tokens of a paper's text that are read at all; what is left out is said in the summary.
        connections: model calls at one time.
        timeout: seconds for one answer.
        cache: folder of the model's answers; None for none.
        settings: further fields of Inspect's `GenerateConfig`, e.g. `temperature`.
        model_args: arguments of the model's provider, e.g. `model_path` of "hf/local".
        report: gets one line for whatever went otherwise than asked.

    Returns:
        One summary for each paper, in the order given. A model that fails leaves the paper's own sentences,
        marked with the reason.

    Raises:
        TypeError, ValueError: an argument that is not accepted; a model that Inspect does not know.
    """
    options = (("budget", budget, 500), ("ceiling", ceiling, 500), ("connections", connections, 1))
    for name, number, least in options:
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise ValueError(f"{name}: {number!r} is no whole number from {least} on")
    if not timeout > 0:
        raise ValueError(f"timeout: {timeout!r} is no time above 0 s")
    target = language_of(language)
    work = [_pair(paper) for paper in papers]
    run = _Run(
        language=target,
        texts=_texts(texts, all(text is not None for _, text in work)),
        checker=_checker(checker) if model is not None else None,
        budget=budget,
        ceiling=ceiling,
        report=report or (lambda line: None),
    )
    caller_options = {
        "connections": connections,
        "timeout": timeout,
        "cache": Path(cache) if cache is not None else None,
        "settings": dict(settings or {}),
    }
    return in_loop(_all(run, work, model, dict(model_args or {}), caller_options))


async def _all(
    run: _Run, work: list[_Pair], model: Any, model_args: dict[str, Any], options: dict[str, Any]
) -> list[Summary]:
    async with AsyncExitStack() as stack:
        if model is not None:
            name = model if isinstance(model, str) else str(model)
            slots = asyncio.Semaphore(options["connections"])
            run.caller = Caller(None, name, slots, language=run.language, report=run.report, **options)
            run.caller.model, run.caller.refused = await open_model(stack, model, model_args)
        flying = asyncio.Semaphore(options["connections"])

        async def one(pair: _Pair) -> Summary:
            async with flying:
                return await run.paper(*pair)

        return list(await asyncio.gather(*(one(pair) for pair in work)))


_Pair = tuple[Listing, PaperText | None]


@dataclass(slots=True)
class _Run:
    """What all papers of one call have in common."""

    language: Language
    texts: Callable[[str, int | None], PaperText]
    checker: Checker | None
    budget: int
    ceiling: int
    report: Callable[[str], None]
    caller: Caller | None = None

    async def paper(self, listing: Listing, text: PaperText | None) -> Summary:
        """Summarise one paper; never raises."""
        code = self.language.code
        notes: list[str] = [note("withdrawn", code)] if listing.withdrawn else []
        if text is None:
            text = await self._text(listing)
        for line in text.warnings:
            self.report(f"{listing.id}: {line}")
        if not _any(text):
            text = _abstract(listing)
        if not _any(text):
            return self._bare(listing, (*notes, note("no text", code)))
        if text.source == "abstract" and not listing.withdrawn:
            notes.append(note("abstract", code))
        tally = Tally()
        reason, why = "", ""
        if self.caller is not None and not listing.withdrawn:
            try:
                async with self.caller.alone(_name(listing)):
                    return await self._written(listing, text, tuple(notes), tally)
            except CallError as error:
                reason, why = str(error), error.code
            except Exception as error:
                reason, why = brief(error), "error"
            self.report(f"{listing.id}: {reason}; the paper's own sentences instead")
        try:
            sections = extract(text)
        except Exception as error:
            self.report(f"{listing.id}: no sentences chosen ({brief(error)})")
            sections = ()
        if not sections:
            return self._bare(listing, (*notes, note("no text", code)), reason, tally)
        own = note("extract", code)
        notes.insert(0, f"{own[:-1]} ({note(why, code)})." if why else own)
        return Summary(
            listing, self.language.tag, sections, reason=reason, notes=tuple(notes), spent=tally.spent
        )

    def _bare(
        self, listing: Listing, notes: tuple[str, ...], reason: str = "", tally: Tally | None = None
    ) -> Summary:
        spent = (tally or Tally()).spent
        return Summary(listing, self.language.tag, (), reason=reason, notes=notes, spent=spent)

    async def _text(self, listing: Listing) -> PaperText:
        """Return a paper's text, or its abstract as listed where the text cannot be had."""
        try:
            return await asyncio.to_thread(self.texts, listing.id, listing.version)
        except KeyError:
            self.report(f"{listing.id}: no text of this paper is at hand")
        except Exception as error:
            self.report(f"{listing.id}: no text ({brief(error)})")
        return _abstract(listing)

    async def _written(
        self, listing: Listing, text: PaperText, notes: tuple[str, ...], tally: Tally
    ) -> Summary:
        assert self.caller is not None
        code = self.language.code
        reading = plan(text, self.budget, self.ceiling)
        sections = await self._draft(listing, text, reading, tally)
        findings: tuple[Checked, ...] = ()
        if self.checker is None:
            notes = (*notes, note("unchecked", code))
        else:
            try:
                sections, findings = await self._mended(listing, text, sections, tally)
            except Exception as error:  # a fault of the checker costs the check, and not the summary
                self.report(f"{listing.id}: not checked ({brief(error)})")
                notes = (*notes, note("unchecked", code))
        if reading.left_out:
            notes = (*notes, f"{note('left out', code)} ({reading.left_out}).")
            self.report(f"{listing.id}: {reading.left_out} passages beyond {self.ceiling:,} tokens not read")
        return Summary(
            listing,
            self.language.tag,
            marked(sections, findings, code),
            model=self.caller.name,
            notes=notes,
            findings=findings,
            usage=tally.used,
            spent=tally.spent,
        )

    async def _draft(self, listing: Listing, text: PaperText, reading: Plan, tally: Tally) -> Sections:
        from sillok.digest.summarise.reply import Draft, read_draft

        prompt = (
            prompts.write_from_text(f"Title: {listing.title}\n\n{reading.parts[0]}")
            if len(reading.parts) == 1
            else prompts.write_from_notes(listing.title, await self._notes(listing, reading.parts, tally))
        )
        return await self._ask(
            listing, "summary", prompt, lambda a: read_draft(a, self.language), Draft, tally
        )

    async def _notes(self, listing: Listing, parts: Sequence[str], tally: Tally) -> list[str]:
        """Return notes on all parts, within the budget: notes on notes where they are too many."""
        from sillok.digest.summarise.reply import Notes, read_notes

        for stage in ("part", "notes", "notes-2", "notes-3"):
            read = await _gather(
                self._ask(listing, stage, prompts.take_notes(part, n, len(parts)), read_notes, Notes, tally)
                for n, part in enumerate(parts, 1)
            )
            notes = [line for lines in read for line in lines]
            if sum(estimate_tokens(line) + 2 for line in notes) <= self.budget:
                return notes
            parts = pack([("", line) for line in notes], self.budget)
        kept: list[str] = []
        for line in notes:
            if sum(map(estimate_tokens, kept)) + estimate_tokens(line) > self.budget:
                break
            kept.append(line)
        self.report(f"{listing.id}: {len(notes) - len(kept)} notes beyond the budget left out")
        return kept

    async def _mended(
        self, listing: Listing, text: PaperText, sections: Sections, tally: Tally
    ) -> tuple[Sections, tuple[Checked, ...]]:
        """Check the sections; give failed sentences back to the writer, and keep the version with fewest."""
        from sillok.digest.summarise.reply import Draft, read_draft

        findings = await self._check(listing, text, sections)
        for round_ in range(1, ROUNDS + 1):
            failures = [one for one in findings if one.failed]
            if not failures:
                break
            prompt = prompts.mend(sections, failures)
            try:
                written = await self._ask(
                    listing, f"mend-{round_}", prompt, lambda a: read_draft(a, self.language), Draft, tally
                )
            except CallError as error:
                self.report(f"{listing.id}: not mended ({error}); what failed is marked")
                break
            checked = await self._check(listing, text, written)
            if sum(one.failed for one in checked) < len(failures):
                sections, findings = written, checked
        return sections, findings

    async def _check(self, listing: Listing, text: PaperText, sections: Sections) -> tuple[Checked, ...]:
        assert self.checker is not None
        entry = Entry(listing.id, "checked", sections=tuple(Section(n, t) for n, t in sections))
        return tuple(Checked.of(one) for one in await asyncio.to_thread(self.checker, entry, text))

    async def _ask(
        self, listing: Listing, stage: str, prompt: str, read: Callable[[str], T], schema: Any, tally: Tally
    ) -> T:
        assert self.caller is not None
        return await self.caller.ask(_name(listing), stage, prompt, read, schema, tally)


def marked(sections: Sections, findings: Iterable[Checked], language: str) -> Sections:
    """Return the sections with a mark after each sentence that failed; none is left unmarked."""
    failures = [one for one in findings if one.failed]
    names = [name for name, _ in sections]
    return tuple(
        (
            name,
            mark_sentences(
                text,
                [
                    (one.sentence, one.verdict)
                    for one in failures
                    if one.section == name or (one.section not in names and name == names[-1])
                ],
                language,
            ),
        )
        for name, text in sections
    )


async def _gather(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all calls, so that what was answered is kept, and then raise the first failure."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [one for one in found if not isinstance(one, BaseException)]


def _name(listing: Listing) -> str:
    return listing.id + (f"v{listing.version}" if listing.version else "")


def _any(text: PaperText) -> bool:
    """Tell whether a text has a word to read: a scanned PDF has none."""
    return any(passage.text.strip() for passage in text.passages)


def _abstract(listing: Listing) -> PaperText:
    """Return a paper's abstract as listed, in place of its text; nothing where none is listed."""
    abstract = [Passage("abstract", "Abstract", listing.abstract)] if listing.abstract.strip() else []
    return PaperText(listing.id, listing.version, tuple(abstract), "abstract")


def _pair(paper: Listing | PaperText) -> _Pair:
    if isinstance(paper, PaperText):
        title = paper.title or paper.id
        return Listing(paper.id, title, paper.version, abstract=paper.abstract), paper
    if isinstance(paper, Listing):
        return replace(paper, abstract=paper.abstract or ""), None
    raise TypeError(f"papers: {type(paper).__name__} given; Listing and PaperText are accepted")


def _texts(given: Texts | None, at_hand: bool) -> Callable[[str, int | None], PaperText]:
    if given is None and not at_hand:
        fetch: Callable[[str, int | None], PaperText] = _load("sillok.digest.fetch.api", "fetch_text")
        return fetch
    if given is None or isinstance(given, Mapping):
        table = given or {}
        return lambda id, version: table[id]
    return given


def _checker(given: Checker | str | None) -> Checker | None:
    if given == DEFAULT:
        check: Checker = _load("sillok.digest.check", "check_entry")
        return check
    if given is not None and not callable(given):
        raise TypeError(f"checker: {given!r} is no callable, nor None")
    return given


def _load(module: str, name: str) -> Any:
    """Return a function of another part of this room, which is not imported before it is needed."""
    return getattr(importlib.import_module(module), name)
