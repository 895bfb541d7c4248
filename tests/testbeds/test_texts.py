"""The corpora's texts: the standard library's prose, and languages whose entropy is known."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

import numpy as np
import pytest
import torch

from sillok.testbeds import corpora, corpus, grammar, texts


def test_prose_is_sentences():
    documents = texts.prose("val")
    lines = b"\n".join(documents).decode().splitlines()
    assert len(documents) > 30 and len(lines) > 300
    assert all(re.fullmatch(r"[A-Z].*[.!?]", line) for line in lines)
    letters = sum(c.isalpha() or c == " " for line in lines for c in line) / sum(map(len, lines))
    assert letters > 0.93
    words = Counter(word for line in lines for word in line.lower().split())
    assert words["the"] > 0.03 * sum(words.values())
    assert not [line for line in lines if ">>>" in line or "::" in line]


def test_prose_has_no_paragraph_twice():
    lines = [line for split in ("val", "test") for text in texts.prose(split) for line in text.splitlines()]
    assert len(lines) == len(set(lines))


def test_paragraphs_leave_code_and_headings_out():
    text = (
        "Short one.\n\nReturn the value that belongs to the key,\nor a default where there is none.\n\n"
        ">>> This line looks like a sentence but is a session.\n\nHeading Without Any Full Stop At The End\n\n"
        "Values are stored as x = f(y) and then used later on by others.\n\nusage: starts with a small letter here.\n"
    )
    assert texts.paragraphs(text) == [
        "Return the value that belongs to the key, or a default where there is none."
    ]


def test_comments_join_adjoining_lines():
    source = "# One remark that\n# goes on.\nx = 1  # beside code\n\n#: Another one.\ns = '# no comment'\n"
    assert texts.comments(source) == "One remark that\ngoes on.\nbeside code\n\nAnother one."


def test_topics_and_files_are_both_there():
    from pydoc_data.topics import topics

    every = b"\n".join(texts.prose("val")).decode()
    of_split = [name for name in topics if texts.split_of(f"pydoc_data/topics/{name}") == "val"]
    found = [p for name in of_split for p in texts.paragraphs(topics[name])]
    assert found and all(p in every for p in found)
    assert len(every) > 3 * sum(map(len, found))


LANGUAGES = {"sentences": "at", "brackets": "([{", "counting": "#", "copying": '"'}


def test_the_first_byte_tells_the_language_and_its_share():
    lines = corpora.CorpusGrammar.documents("val")
    first = Counter(chr(line[0]) for line in lines)
    for name, (share, _) in grammar.languages().items():
        found = sum(first[c] for c in LANGUAGES[name]) / len(lines)
        assert abs(found - share) < 4 * math.sqrt(share / len(lines))


def test_every_document_obeys_its_rules():
    singular = r"(sees|likes|hears|follows)"
    plural = r"(see|like|hear|follow)"
    for line in map(bytes.decode, corpora.CorpusGrammar.documents("val")[:4000]):
        if line[0] == "#":
            n = line.count("a")
            assert line == "#" + "a" * n + "b" * n + "c" * n
        elif line[0] == '"':
            word, mark, copy = re.fullmatch(r'"([bdfgklpr]+)([=~])([bdfgklpr]+)', line).groups()
            assert copy == (word if mark == "=" else word[::-1])
        elif line[0] in "([{":
            stack = []
            for i, c in enumerate(line):
                if c in "([{":
                    stack.append(c)
                else:
                    assert {"(": ")", "[": "]", "{": "}"}[stack.pop()] == c
                assert stack or i == len(line) - 1
        else:
            verbs = singular if line.startswith("a ") else plural
            other = plural if line.startswith("a ") else singular
            assert re.search(rf" {verbs} ", line) and not re.search(rf" {other} ", line)


@pytest.mark.parametrize("name", LANGUAGES)
def test_expectations_are_those_of_draws(name):
    language = grammar.languages()[name][1]
    rng = np.random.default_rng(0)
    uniform = iter(rng.random(2_000_000).tolist())
    draws = [language.draw(uniform) for _ in range(6000)]
    for expected, values in (
        (language.length, [len(text) for text, _ in draws]),
        (language.entropy, [sum(nats) for _, nats in draws]),
    ):
        assert abs(np.mean(values) - expected) < 4 * np.std(values) / math.sqrt(len(values))
    assert all(len(text) == len(nats) for text, nats in draws)


@pytest.mark.parametrize("name", ["brackets", "counting", "sentences"])
def test_surprisal_is_minus_the_logarithm_of_a_documents_share(name):
    language = grammar.languages()[name][1]
    uniform = iter(np.random.default_rng(1).random(2_000_000).tolist())
    draws = [language.draw(uniform) for _ in range(20_000)]
    counts = Counter(text for text, _ in draws)
    nats = {text: sum(found) for text, found in draws}
    for text, count in counts.most_common(8):
        p = math.exp(-nats[text])
        assert abs(count / 20_000 - p) < 4 * math.sqrt(p / 20_000), text


def test_surprisal_by_byte_is_that_of_the_prefix():
    # the share of sentences that go on with a byte, among those that begin alike
    language = grammar.languages()["sentences"][1]
    uniform = iter(np.random.default_rng(2).random(2_000_000).tolist())
    draws = [language.draw(uniform) for _ in range(20_000)]
    for prefix in (b"t", b"two ", b"two c", b"two ch", b"a dog "):
        alike = [(text, nats) for text, nats in draws if text.startswith(prefix)]
        follows = Counter(text[len(prefix)] for text, _ in alike)
        by_byte = {text[len(prefix)]: nats[len(prefix)] for text, nats in alike}
        for byte, count in follows.items():
            p = math.exp(-by_byte[byte])
            assert abs(count / len(alike) - p) < 4.5 * math.sqrt(p / len(alike)), (prefix, byte)
        assert sum(math.exp(-nats) for nats in by_byte.values()) == pytest.approx(1)


def test_the_entropy_rate_is_the_mean_surprisal():
    text, nats = grammar.sample(600_000, 5)
    ends = np.flatnonzero(text == grammar.END)
    pieces = [part.sum() for part in np.split(nats, ends + 1)[:-1]]
    error = np.std(pieces) * math.sqrt(len(pieces)) / len(text)
    assert abs(nats.mean() - grammar.entropy_rate()) < 4 * error < 0.03
    assert (nats[ends] == 0).all() and (nats >= 0).all()


def test_draws_follow_the_seed():
    first, again, other = (grammar.sample(2000, seed)[0].tobytes() for seed in (1, 1, 2))
    assert first == again != other
    assert grammar.sample(9000, 1)[0].tobytes().startswith(first)
    import hashlib

    # the text of corpus-grammar is the same everywhere
    assert hashlib.sha256(first).hexdigest()[:16] == "62640cc15d8638f4"


def test_surprisal_belongs_to_the_bytes_of_data():
    bed = corpora.CorpusGrammar("xs")
    tokens, nats = bed.data("val", n=40), bed.surprisal("val", n=40)
    assert tokens.shape == nats.shape
    assert (nats[tokens == corpus.END] == 0).all()
    assert float(nats.mean()) == pytest.approx(grammar.entropy_rate(), rel=0.15)
    whole = bed.surprisal("val")
    assert torch.equal(whole[torch.arange(40) * len(whole) // 40], nats)
    # after "two old " and the like nothing is settled, after "#" all is
    after = (tokens[:, :-1] == ord("#")).nonzero().tolist()
    assert after and all(float(nats[row, column + 1]) == 0 for row, column in after)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"start": [grammar.Rule(0.5, "a"), grammar.Rule(0.4, "b")]}, "must be positive and add up to 1"),
        ({"start": [grammar.Rule(0.5, "a"), grammar.Rule(0.5, "ab")]}, "beginnings of one another"),
        ({"start": [grammar.Rule(1.0, "")]}, "neither empty"),
        ({"start": [grammar.Rule(1.0, "a", ("end",))]}, r"unknown nonterminals \['end'\]"),
        (
            {"start": [grammar.Rule(0.5, "a", ("start", "start")), grammar.Rule(0.5, "b")]},
            "grammar must end on average",
        ),
    ],
)
def test_grammars_that_cannot_be_drawn_from(rules, words):
    with pytest.raises(ValueError, match=words):
        grammar.ContextFree(rules)


def test_a_grammar_by_hand():
    # a^n b^n with n geometric: entropy 2 ln 2 and length 4
    language = grammar.ContextFree(
        {
            "start": [grammar.Rule(1.0, "a", ("more",))],
            "more": [grammar.Rule(0.5, "a", ("more", "b")), grammar.Rule(0.5, "b")],
            "b": [grammar.Rule(1.0, "b")],
        }
    )
    assert language.entropy == pytest.approx(2 * math.log(2))
    assert language.length == pytest.approx(4)
    text, nats = language.draw(itertools.chain([0.9, 0.1, 0.1, 0.9], itertools.repeat(0.5)))
    assert text == b"aaabbb"
    assert nats == pytest.approx([0, math.log(2), math.log(2), math.log(2), 0, 0])
