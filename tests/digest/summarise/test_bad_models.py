"""Models that answer anything but a summary: asked again, then the paper's own sentences with the reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sillok.digest.marks import note
from sillok.digest.summarise import summarise
from sillok.digest.summarise.calls import opened

GERMAN = (
    "Das Verfahren ist neu und wird mit einem Verlust trainiert, der die Wurzeln der Bäume vergleicht, "
    "wobei die Blätter danach geordnet werden und das Ergebnis schneller ist als bisher."
)


def chopped(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False)[:150]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("Here is my summary. The paper plants trees.", "prose"),
        ("", "empty"),
        ("   \n", "empty"),
        ("<think>hm {</think>", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("죄송하지만 도와드릴 수 없습니다.", "refusal"),
        ('{"whats_new": "새로운', "half"),
        ('{"whats_new": "새", "others": [{"name": "a", "text": "b"}', "half"),
        ('{"whats_new": "새로운 방법입니다."}', "fields"),
        ('{"whats_new": "", "technical_details": "", "performance_highlights": "", "others": []}', "fields"),
        ("[1, 2, 3]", "prose"),
        ("{" * 5000, "prose"),
        ("english", "language"),
    ],
)
def test_a_bad_answer_is_asked_for_again_and_then_replaced(
    mock: Any, paper: Any, en: dict[str, Any], bad: str, code: str
) -> None:
    """English in place of Korean is the wrong language; the summary then is the paper's own text, marked so."""
    asked = mock(lambda prompt, n: en if bad == "english" else bad)
    lines: list[str] = []
    (found,) = summarise([paper()], model=asked.model, checker=None, report=lines.append)
    assert len(asked.prompts) == 3
    assert all("could not be used" in prompt for prompt in asked.prompts[1:])
    assert found.model is None
    assert "2.1 times faster than Shrub" in dict(found.sections)["Performance Highlights"]
    assert note(code, "ko") in found.notes[0]
    assert len(lines) == 1 and lines[0].startswith("2412.00001: ") and "\n" not in lines[0]
    assert found.spent.calls == 3 and found.usage.calls == 0


def test_one_bad_answer_costs_one_more_call(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    asked = mock(lambda prompt, n: "prose" if n == 1 else ko)
    (found,) = summarise([paper()], model=asked.model, checker=None)
    assert found.model == "mockllm/model"
    assert found.spent.calls == 2 and found.usage.calls == 1
    assert found.spent.input == 200 and found.usage.input == 100


@pytest.mark.parametrize(
    "around", ["{}", "```json\n{}\n```", "Sure! Here it is:\n\n{}\n\nMore?", "<think>a {{b}} c</think>{}"]
)
def test_json_is_found_in_whatever_stands_around_it(
    mock: Any, paper: Any, ko: dict[str, Any], around: str
) -> None:
    text = around.format(json.dumps(ko, ensure_ascii=False))
    (found,) = summarise([paper()], model=mock(lambda p, n: text).model, checker=None)
    assert [name for name, _ in found.sections] == [
        "What's New",
        "Technical Details",
        "Performance Highlights",
    ]
    assert dict(found.sections)["What's New"] == ko["whats_new"]


def test_a_list_of_sections_is_read_too(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    listed = [
        {"name": "What's New", "text": ko["whats_new"]},
        {"title": "Technical Details", "content": ko["technical_details"]},
        {"name": "**Performance Highlights**", "text": ko["performance_highlights"]},
        {"name": "Limits", "text": "한계가 있습니다."},
    ]
    text = json.dumps({"sections": listed}, ensure_ascii=False)
    (found,) = summarise([paper()], model=mock(lambda p, n: text).model, checker=None)
    assert [name for name, _ in found.sections][3] == "Limits"
    assert dict(found.sections)["What's New"] == ko["whats_new"]


def test_a_trailing_comma_and_other_spellings_of_keys(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    text = (
        f'{{"What\'s New": "{ko["whats_new"]}", "Technical Details": ["{ko["technical_details"]}"], '
        f'"performanceHighlights": "{ko["performance_highlights"]}", "others": null,}}'
    )
    (found,) = summarise([paper()], model=mock(lambda p, n: text).model, checker=None)
    assert next(text for _, text in found.sections) == ko["whats_new"]


def test_a_filtered_answer_is_a_refusal(mock: Any, paper: Any) -> None:
    from inspect_ai.model import ModelOutput

    answer = ModelOutput.from_content("mockllm/model", "", stop_reason="content_filter")
    (found,) = summarise([paper()], model=mock(lambda p, n: answer).model, checker=None)
    assert note("refusal", "ko") in found.notes[0]


def test_a_model_that_never_answers(mock: Any, paper: Any) -> None:
    async def forever() -> None:
        await asyncio.sleep(3600)

    lines: list[str] = []
    (found,) = summarise(
        [paper()], model=mock(lambda p, n: forever).model, checker=None, timeout=0.2, report=lines.append
    )
    assert note("timeout", "ko") in found.notes[0]
    assert lines == ["2412.00001: mockllm/model: no answer in time; the paper's own sentences instead"]


def test_one_paper_never_stops_another(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    """Of five papers one gets prose, one an exception: three are written, in the order given."""

    def answer(prompt: str, n: int) -> Any:
        if "Paper 1" in prompt:
            return RuntimeError("service on fire")
        return "prose" if "Paper 3" in prompt else ko

    def texts(id: str, version: int | None) -> Any:
        if id.endswith("4"):
            raise OSError("no route to host")
        return paper(id)

    from sillok.digest.text import Listing

    listings = [
        Listing(f"2412.0000{n}", f"Paper {n}", 1, abstract="A sentence of the abstract.") for n in range(5)
    ]
    found = summarise(listings, model=mock(answer).model, texts=texts, checker=None)
    assert [one.listing.id for one in found] == [one.id for one in listings]
    assert [one.model is not None for one in found] == [True, False, True, False, True]
    assert "service on fire" in found[1].reason
    assert note("abstract", "ko") in found[4].notes  # its full text was not at hand


def test_a_language_that_the_model_does_not_keep_to(mock: Any, paper: Any, en: dict[str, Any]) -> None:
    text = {key: value if key == "others" else GERMAN for key, value in en.items()}
    for language, accepted in (("de", True), ("ko", False), ("en", False), ("ja", False), ("Klingon", True)):
        (found,) = summarise([paper()], model=mock(lambda p, n: text).model, checker=None, language=language)
        assert (found.model is not None) == accepted, language
    (found,) = summarise([paper()], model=mock(lambda p, n: en).model, checker=None, language="fr")
    assert found.model is None


def test_the_model_is_asked_for_the_language(mock: Any, paper: Any, ko: dict[str, Any]) -> None:
    asked = mock(lambda p, n: ko)
    summarise([paper()], model=asked.model, checker=None, language="한국어")
    assert "Korean" in asked.systems[0] and "parentheses" in asked.systems[0]


def test_a_wrong_key_is_said_once_and_not_shown(
    service: Any, paper: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The service repeats the key in its answer, as real ones do; no further call is made after it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretkey12345")
    service.status = 401
    lines: list[str] = []
    found = summarise(
        [paper("2412.00001"), paper("2412.00002"), paper("2412.00003")],
        model="openai/gpt-4o-mini",
        model_args={"base_url": service.url, "responses_api": False},
        checker=None,
        connections=1,
        cache=tmp_path,
        report=lines.append,
    )
    assert len(service.bodies) == 1
    assert all(one.model is None and note("key", "ko") in one.notes[0] for one in found)
    assert len(lines) == 3 and all("the service refused the key" in line for line in lines)
    assert "verysecret" not in repr(found) + "".join(lines)
    assert not list(tmp_path.rglob("*.json"))


def test_no_key_at_all(paper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AZUREAI_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (found,) = summarise([paper()], model="openai/gpt-4o-mini", checker=None)
    assert found.reason == "openai/gpt-4o-mini: no key in the environment"
    assert note("no key", "ko") in found.notes[0]


def test_a_service_that_cannot_be_reached_is_left_alone(
    paper: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After Inspect's tries for one paper no other paper waits for the service."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretkey12345")
    lines: list[str] = []
    found = summarise(
        [paper("2412.00001"), paper("2412.00002"), paper("2412.00003")],
        model="openai/gpt-4o-mini",
        model_args={"base_url": "http://127.0.0.1:9/v1", "responses_api": False},
        settings={"max_retries": 0},
        checker=None,
        connections=1,
        report=lines.append,
    )
    assert all(one.model is None and note("unreachable", "ko") in one.notes[0] for one in found)
    reason = "openai/gpt-4o-mini: the service cannot be reached; the paper's own sentences instead"
    assert lines == [f"2412.0000{n}: {reason}" for n in (1, 2, 3)]


def test_a_service_that_takes_no_more_calls(
    service: Any, paper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretkey12345")
    service.status = 429
    args = {"base_url": service.url, "responses_api": False}
    (found,) = summarise(
        [paper()], model="openai/gpt-4o-mini", model_args=args, settings={"max_retries": 0}, checker=None
    )
    assert found.reason.endswith("takes no more calls for now, or the quota is used up (429)")


def test_a_provider_without_its_package() -> None:
    """Inspect's message has the marks of its console, which are no part of a line."""
    error = RuntimeError(
        "[bold]ERROR[/bold]: OpenAI API requires optional dependencies. Install with:\n\n"
        "[bold]pip install openai[/bold]\n"
    )
    assert opened(error, "openai/gpt-4o") == (
        "model: 'openai/gpt-4o' cannot be used: RuntimeError: OpenAI API requires optional "
        "dependencies. Install with: pip install openai"
    )


@pytest.mark.parametrize("model", ["nobody/model", "gpt-4o"])
def test_a_model_that_inspect_does_not_know(paper: Any, model: str) -> None:
    with pytest.raises(ValueError, match="model: .* cannot be used"):
        summarise([paper()], model=model, checker=None)


def test_a_service_without_schemas_still_serves(
    service: Any, paper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretkey12345")
    service.refuse_schema = True
    args = {"base_url": service.url, "responses_api": False}
    (found,) = summarise([paper()], model="openai/gpt-4o-mini", model_args=args, language="en", checker=None)
    assert found.model == "openai/gpt-4o-mini"
    assert ["response_format" in body for body in service.bodies] == [True, False]


def test_the_schema_reaches_the_service(service: Any, paper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecretkey12345")
    args = {"base_url": service.url, "responses_api": False}
    (found,) = summarise([paper()], model="openai/gpt-4o-mini", model_args=args, language="en", checker=None)
    schema = service.bodies[0]["response_format"]["json_schema"]["schema"]
    assert set(schema["required"]) == {"whats_new", "technical_details", "performance_highlights", "others"}
    assert found.usage.total == 110 and not found.usage.estimated


@pytest.mark.parametrize("connections", [1, 3])
def test_calls_at_one_time_are_bounded(
    mock: Callable[..., Any], paper: Any, ko: dict[str, Any], connections: int
) -> None:
    asked = mock(lambda p, n: {"notes": ["a"]} if '"notes"' in p else ko)
    papers = [paper(f"2412.0000{n}", extra=6) for n in range(4)]
    summarise(papers, model=asked.model, checker=None, connections=connections, budget=1000)
    assert asked.most == connections
    assert len(asked.prompts) > 12
