"""Citations and correctness of answers over numbered passages.

As L-CiteEval (arXiv 2410.02115) scores them, and without its faults.
"""

from __future__ import annotations

import functools
import json
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sillok.methods.evals.predictions import Mode

Doc = str | Mapping[str, str]
#: premise, hypothesis -> whether the first entails the second.
Entail = Callable[[str, str], bool]
#: a text -> its sentences.
Split = Callable[[str], list[str]]

NLI = "tasksource/deberta-base-long-nli"
_MARK = re.compile(r"\[(\d+)")
_MARKS_FIRST = re.compile(r"\s*(?:\[\d+\][\s.,;]*)+")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9가-힣\[])")
_COUNTED = re.compile(r"The little penguin counted (\d+) ★")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def plain_sentences(text: str) -> list[str]:
    """Sentences by their punctuation alone: what stands in where NLTK's data are not at hand."""
    return [part for part in _SENTENCE.split(text.strip()) if part.strip()]


@functools.cache
def sentence_splitter() -> tuple[Split, bool]:
    """NLTK's sentence splitter and True, or `plain_sentences` and False where NLTK or its punkt data are missing.

    The data are not on PyPI: ``python -m nltk.downloader punkt_tab`` fetches them.
    """
    try:
        from nltk import sent_tokenize

        sent_tokenize("One. Two.")
    except (ImportError, LookupError):
        return plain_sentences, False
    return sent_tokenize, True


def citations(text: str) -> list[int]:
    """Indices (from 0) of the passages that a text cites, in order: "[3" is passage 2, "[0" is -1."""
    return [int(number) - 1 for number in _MARK.findall(text)]


def without_citations(text: str) -> str:
    """A text without its marks: "[3]" with the blank before it, and every "]" and " |" that is left."""
    return re.sub(r" ?\[\d+", "", text).replace(" |", "").replace("]", "")


def shown(doc: Doc) -> str:
    """A passage as the entailment model reads it."""
    return f"Passage: {doc}" if isinstance(doc, str) else f"Title: {doc['title']}\nPassage: {doc['text']}"


def citation_score(
    reply: str,
    docs: Sequence[Doc],
    nli: Entail,
    max_cites: int = 3,
    *,
    mode: Mode = "published",
    split: Split | None = None,
) -> dict[str, float]:
    """How well a reply's citations bear its sentences out, and how few of them are idle.

    A sentence is borne out (recall) when the passages that it cites entail it together. Of several citations, one is
    idle when it entails the sentence not by itself and the others do without it; where the sentence is not borne out,
    none of its citations counts (precision).

    Args:
        reply: with marks such as [2][5], counted from 1.
        docs: the passages.
        nli: premise, hypothesis -> entailment.
        max_cites: of a sentence that are looked at.
        mode: "published": "[0]" is the last passage, and a mark after the full stop belongs to the next sentence.
            "strict": "[0]" is out of range, and such a mark belongs to the sentence before.
        split: into sentences; NLTK's by default, where its data are at hand.

    Returns:
        "cr", "cp", "f1" (harmonic mean) in [0, 1], "n_sentences" and "n_citations".

    Reference:
        Z. Tang et al., arXiv 2410.02115, section 3.3, after T. Gao et al., arXiv 2305.14627.
    """
    sentences = (split or sentence_splitter()[0])(reply)
    if mode == "strict":
        sentences = _marks_moved_back(sentences)
    borne, useful, cited = 0, 0, 0
    for sentence in sentences:
        found, claim = citations(sentence), without_citations(sentence).strip()
        lowest = 0 if mode == "strict" else -len(docs)
        if not found or any(not lowest <= index < len(docs) for index in found):
            continue
        found = found[:max_cites]
        cited += len(found)
        texts = [shown(docs[index]) for index in found]
        if not nli("\n".join(texts), claim):
            continue
        borne += 1
        useful += 1 if len(found) == 1 else sum(_needed(texts, at, claim, nli) for at in range(len(texts)))
    recall = borne / len(sentences) if sentences else 0.0
    precision = useful / cited if cited else 0.0
    return _scores(recall, precision, len(sentences), cited)


def _needed(texts: list[str], at: int, claim: str, nli: Entail) -> bool:
    # the first passage equal to this one is left out, which matters where one is cited twice
    without = [*texts]
    without.remove(texts[at])
    return nli(texts[at], claim) or not nli("\n".join(without), claim)


def _scores(recall: float, precision: float, sentences: int, cited: int) -> dict[str, float]:
    f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    return {"cr": recall, "cp": precision, "f1": f1, "n_sentences": sentences, "n_citations": cited}


def _marks_moved_back(sentences: list[str]) -> list[str]:
    moved: list[str] = []
    for sentence in sentences:
        first = _MARKS_FIRST.match(sentence)
        if moved and first:
            moved[-1] += first[0]
            sentence = sentence[first.end() :]
        if sentence.strip():
            moved.append(sentence)
    return moved


def needle_citations(reply: str, docs: Sequence[str], answer: str, max_cites: int = 3) -> dict[str, float]:
    """Of the first line: recall 1 where it cites the passage that holds the answer, precision one over its citations.

    Of several passages with the answer the first counts.
    """
    gold = next((at for at, doc in enumerate(docs) if answer in doc), None)
    found = citations(first_line(reply))[:max_cites]
    hit = gold is not None and gold in found
    return _scores(float(hit), 1 / len(found) if hit else 0.0, 1, len(found))


def stars_of(docs: Sequence[str]) -> tuple[list[int], list[int]]:
    """The passages (from 1) in which the little penguin counts, and what it counts there."""
    found = [(at + 1, int(match[1])) for at, doc in enumerate(docs) if (match := _COUNTED.search(doc))]
    return [at for at, _ in found], [count for _, count in found]


def _stars_said(reply: str) -> Mapping[str, Any] | None:
    """The object in a reply, from its first to its first closing brace; None where it is none."""
    start, end = reply.find("{"), reply.find("}")
    try:
        found = json.loads(reply[start : end + 1]) if 0 <= start < end else None
    except (json.JSONDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def stars_citations(reply: str, docs: Sequence[str]) -> dict[str, float]:
    """Passages named against those in which the penguin counts, each once."""
    gold, _ = stars_of(docs)
    said = _stars_said(reply) or {}
    named = said.get("passage_id")
    ids = {_hashable(value) for value in named} if isinstance(named, list) else set()
    hits = len(ids & set(gold))
    recall, precision = hits / len(gold) if gold else 0.0, hits / len(ids) if ids else 0.0
    return _scores(recall, precision, 1, len(ids))


def stars_correct(reply: str, docs: Sequence[str], mode: Mode = "published") -> float:
    """Share of the counts that are named; published: a count named twice counts twice, strict: once."""
    _, gold = stars_of(docs)
    named = (_stars_said(reply) or {}).get("little_penguin")
    said = named[: len(gold)] if isinstance(named, list) else []
    if mode == "strict":
        return (
            sum((Counter(_hashable(v) for v in said) & Counter(gold)).values()) / len(gold) if gold else 0.0
        )
    return sum(value in gold for value in said) / len(gold) if gold else 0.0


def _hashable(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else repr(value)


def first_line(text: str) -> str:
    """The first line of a text that has been stripped."""
    return text.strip().partition("\n")[0]


def normalised(text: str) -> list[str]:
    """Words in lower case without punctuation and articles, as SQuAD's scorer has them."""
    bare = "".join(c for c in text.lower() if c not in string.punctuation)
    return _ARTICLES.sub(" ", bare).split()


def answer_overlap(reply: str, answer: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of a reply's words against an answer's."""
    ours, theirs = normalised(reply), normalised(answer)
    same = sum((Counter(ours) & Counter(theirs)).values())
    if not same:
        return 0.0, 0.0, 0.0
    precision, recall = same / len(ours), same / len(theirs)
    return precision, recall, 2 * precision * recall / (precision + recall)


def answer_scores(reply: str, answers: Sequence[str]) -> dict[str, float]:
    """Each of precision, recall and F1 at its best over the answers, of the first line without its citations."""
    line = without_citations(first_line(reply))
    rows = [answer_overlap(line, answer) for answer in answers] or [(0.0, 0.0, 0.0)]
    precision, recall, f1 = (max(column) for column in zip(*rows, strict=True))
    return {"precision": precision, "recall": recall, "f1": f1}


@functools.cache
def _rouge() -> Any:
    try:
        from rouge import Rouge
    except ImportError:
        raise ImportError("ROUGE needs the package rouge: pip install 'sillok[evals]'") from None
    return Rouge()


def rouge(reply: str, answers: Sequence[str], kind: str, part: str) -> float:
    """The best ROUGE of a text over the answers, by the package ``rouge`` that the authors use; 0 of nothing.

    Args:
        reply: the text.
        answers: references.
        kind, part: such as "rouge-l" and "f".
    """
    best = 0.0
    for answer in answers:
        try:
            [scores] = _rouge().get_scores([reply], [answer])
        except (ValueError, RecursionError):  # of a text without words, or one too long for it
            continue
        best = max(best, float(scores[kind][part]))
    return best


def summary_of(reply: str) -> str:
    """The summary in a reply: the first line of what follows a heading with "summary" in it, without citations."""
    text = reply.strip()
    if "summary" in text[:100].lower():
        if ":" not in text:
            return ""
        text = text[text.index(":") + 1 :].strip()
    return without_citations(text.partition("\n")[0])


def load_nli(name: str = NLI) -> Entail:
    """An entailment function from a Transformers classifier.

    Args:
        name: on the hub, or a folder; its label "entailment" counts as yes.

    Raises:
        ValueError: it cannot be loaded; the message is one line.
        ImportError: Transformers is not installed; the message says how to install it.
    """
    try:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError:
        raise ImportError("entailment needs Transformers: pip install 'sillok[evals]' torch") from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model = AutoModelForSequenceClassification.from_pretrained(name).eval()
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise ValueError(f"nli: {name!r} cannot be loaded as a text classifier ({line[:200]})") from None
    model.to("cuda" if torch.cuda.is_available() else "cpu")

    @functools.lru_cache(maxsize=100_000)
    def entails(premise: str, hypothesis: str) -> bool:
        # the hypothesis is kept whole: a model that reads long passages cuts the premise alone
        tokens = tokenizer(premise, hypothesis, truncation="only_first", return_tensors="pt").to(model.device)
        with torch.no_grad():
            label = int(model(**tokens).logits.argmax(-1))
        return str(model.config.id2label[label]).lower() == "entailment"

    return entails
