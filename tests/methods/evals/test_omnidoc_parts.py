"""The parts of OmniDocBench's scorer: each against a plain way of computing the same."""

import re
from functools import cache
from random import Random

import pytest

from sillok.methods.evals.omnidoc import (
    Gold,
    gold_blocks,
    match_blocks,
    normalise,
    page_edit,
    parse_markdown,
    reading_order,
    scan,
    teds,
)
from sillok.methods.evals.omnidoc.cases import BROKEN, made_cases, made_page
from sillok.methods.evals.omnidoc.quick import contains, quick_pairs
from sillok.methods.evals.omnidoc.trees import Tree, tree_distance


def soup(rng: Random, length: int = 40) -> str:
    return "".join(
        rng.choice((*BROKEN, "a", "b c", " ", "1", "![x](y)")) for _ in range(rng.randrange(length))
    )


@pytest.mark.parametrize("seed", range(5))
def test_scanners_find_what_their_expressions_find(seed):
    rng = Random(seed)
    displayed = re.compile(r"\$\$(.*?)\$\$|\\\[(.*?)\\\]|\$(.*?)\$|\\\((.*?)\\\)", re.DOTALL)
    within = re.compile(r"\$(.*?)\$|\\\((.*?)\\\)")
    title = re.compile(r"\\text\s*\{\s*(.*?)\s*\}", re.DOTALL)
    for _ in range(400):
        text = soup(rng)
        assert list(scan.formulas(text)) == [found.span() for found in displayed.finditer(text)]
        assert [(a, b) for a, b, _ in scan.inline(text)] == [found.span() for found in within.finditer(text)]
        assert scan.without_images(text) == re.sub(r"!\[.*?\]\(.*?\)", "", text)
        rows = re.compile(r"\|\s*.*?\s*\|\n", re.DOTALL)
        assert list(scan.pipe_rows(text)) == [found.span() for found in rows.finditer(text)]
        assert scan.braced(re.compile(r"\\text\s*\{\s*"), text, str.strip) == title.sub(r"\1", text)


def test_tables_inside_tables_are_one():
    text = "a<table><tr><td><table><tr><td>x</td></tr></table></td></tr></table>b <table> c c c c c <table>d</table>"
    assert [text[a:b] for a, b in scan.nested(text, scan.HTML_TABLE)] == [
        "<table><tr><td><table><tr><td>x</td></tr></table></td></tr></table>",
        "<table>d</table>",
    ]


def test_markdown_is_cut_into_blocks():
    md = (
        "# Title\n\nText with $x^2$ inside.\n\n$$\na = b\n$$\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "<table><tr><td>y</td></tr></table>\n\n![picture](p.png)"
    )
    blocks = parse_markdown(md)
    assert blocks.text == ["# Title", "Text with $x^2$ inside."]
    assert blocks.formulas == [r"\[x^2\]", r"\[ a = b \]"]
    assert [block.fine for block in blocks.of("formula")] == ["equation_inline", ""]
    assert len(blocks.tables) == 2 and "<td>y</td>" in blocks.tables[1]
    assert len(blocks.positions) == len(blocks)


@pytest.mark.usefixtures("as_users_run_it")
def test_a_prediction_is_text():
    with pytest.raises(ValueError, match="md: a prediction is text, got NoneType"):
        parse_markdown(None)


def test_strict_places_are_those_of_the_text():
    md = "one one\n\ntwo two\n\nthree"
    for strict, places in ((True, [0, 9, 18]), (False, [0, 7, 14])):
        assert [start for start, _ in parse_markdown(md, strict=strict).positions] == places


def test_the_short_way_with_tables_equals_the_parser(monkeypatch):
    rng = Random(3)
    tables = [
        block["html"] for _ in range(150) for block in made_page(rng, "p")["layout_dets"] if "html" in block
    ]
    spaces = ("", "", " ", "\n \n", "\u3000")
    tables = [re.sub("<td>", lambda _: "<td>" + rng.choice(spaces), table) for table in tables]
    tables += [table.replace("<td>", "<td >", 1) for table in tables]
    short, cells = (
        [normalise.normalise_table(table) for table in tables],
        [normalise.cell_texts(t) for t in tables],
    )
    assert sum(normalise._plain(table) is not None for table in tables) > 50
    monkeypatch.setattr(normalise, "_plain", lambda table: None)
    assert [normalise.normalise_table(table) for table in tables] == short
    assert [normalise.cell_texts(table) for table in tables] == cells


def test_what_is_no_table_is_none():
    assert normalise.normalise_table("no table") == ""
    assert teds("no table", "<table><tr><td>a</td></tr></table>") == 0
    assert (
        teds('<table><tr><td colspan="many">a</td></tr></table>', "<table><tr><td>a</td></tr></table>") == 0
    )
    assert teds("<table></table>", "<table></table>") == 0  # no node to compare: as published


def test_formulas_lose_what_does_not_show():
    assert normalise.normalise_formula(r"$$ \mathbf{A} \left( x \right) \tag{3} $$") == "{a}(x)"
    assert normalise.normalise_formula(r"\[ \quad B . \]") == "b"
    assert normalise.normalise_text(r"Where $x_{1}^{2}$, \(y\) 和 z_1!") == "Wherex_12y和z_1"


def test_contains_equals_trying_every_place():
    from rapidfuzz.distance import Levenshtein

    rng = Random(0)
    for _ in range(400):
        text = "".join(rng.choice("abcd") for _ in range(rng.randrange(1, 60)))
        part = "".join(rng.choice("abcd") for _ in range(rng.randrange(1, len(text) + 1)))
        bound = rng.randrange(-1, len(part))
        places = range(len(text) - len(part) + 1)
        found = any(Levenshtein.distance(text[at : at + len(part)], part) <= bound for at in places)
        assert contains(text, part, bound) == found


def _distance(one, other):
    """Edit distance of forests by its definition: take a root out, put one in, or keep one for the other."""

    @cache
    def between(a, b):
        if not a and not b:
            return 0.0
        best = float("inf")
        if a:
            best = min(best, between(a[:-1] + a[-1][1], b) + 1)
        if b:
            best = min(best, between(a, b[:-1] + b[-1][1]) + 1)
        if a and b:
            best = min(best, between(a[-1][1], b[-1][1]) + between(a[:-1], b[:-1]) + (a[-1][0] != b[-1][0]))
        return best

    return between((one,), (other,))


def _random_tree(rng: Random, deep: int) -> tuple:
    below = tuple(_random_tree(rng, deep - 1) for _ in range(rng.randrange(4))) if deep else ()
    return (rng.choice(("tr", "td", "tr") if below else ("td", "td", "tr")), below)


def _flat(tree: tuple, out: Tree) -> int:
    first = None
    for child in tree[1]:
        leaf = _flat(child, out)
        first = leaf if first is None else first
    first = len(out) if first is None else first
    out.labels.append((tree[0], None, None))
    out.texts.append("")
    out.leftmost.append(first)
    return first


@pytest.mark.parametrize("deep", [1, 2, 3])
def test_tree_distance_equals_its_definition(deep):
    rng = Random(deep)
    for _ in range(60):
        nested = [
            ("table", tuple(_random_tree(rng, deep - 1) for _ in range(rng.randrange(4)))) for _ in range(2)
        ]
        flat = [Tree(), Tree()]
        for tree, out in zip(nested, flat, strict=True):
            _flat(tree, out)
        assert tree_distance(*flat) == pytest.approx(_distance(*nested), abs=1e-9)


def test_teds_of_tables():
    table = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"
    merged = '<table><tr><td colspan="2">a b</td></tr><tr><td>c</td><td>d</td></tr></table>'
    assert teds(table, table) == 1
    assert teds(merged, table) == pytest.approx(1 - 2 / 6)  # one cell out, one renamed, of six nodes
    assert teds(table, merged) == pytest.approx(teds(merged, table))
    assert teds(table.replace("d<", "x<"), table) == pytest.approx(1 - 1 / 6)
    assert teds(table.replace("d<", "x<"), table, structure_only=True) == 1
    head = table.replace("<tr><td>a</td><td>b</td></tr>", "<thead><tr><th>a</th><th>b</th></tr></thead>")
    assert teds(head, table) == 1


def test_quick_pairs_merge_and_split():
    first, second = "the quick brown fox jumps over", "a lazy dog sleeps under the tree"
    assert quick_pairs([first + " " + second], [first, second]) == [([0], [0, 1])]
    assert quick_pairs([first, second], [first + " " + second]) == [([0, 1], [0])]
    assert sorted(quick_pairs([first, second], [second, first])) == [([0], [1]), ([1], [0])]


def test_every_block_is_in_a_match():
    for case in made_cases(60, seed=5):
        gold = [
            block
            for block in gold_blocks(case["page"], strict=True)
            if block.category in ("text_block", "title")
        ]
        predicted = parse_markdown(case["prediction"]).of("text")
        for method in ("quick_match", "simple_match"):
            matches = match_blocks(gold, predicted, method, strict=True)
            shown = {i for match in matches for i in match.gold_index}
            named = [block for block in gold if normalise.normalise_text(block.content)]
            assert shown == set(range(len(named))), (case["kind"], method)


def test_reading_order_counts_swapped_blocks():
    gold = [
        Gold("text_block", text, order)
        for order, text in enumerate(("alpha one", "beta two", "gamma three"), 1)
    ]
    right = parse_markdown("alpha one\n\nbeta two\n\ngamma three")
    swapped = parse_markdown("beta two\n\nalpha one\n\ngamma three")
    assert reading_order(match_blocks(gold, right)) == (0, 3)
    assert reading_order(match_blocks(gold, swapped)) == (2, 3)
    assert page_edit(match_blocks(gold, swapped)) == 0
    assert page_edit([]) is None


@pytest.mark.usefixtures("as_users_run_it")
def test_unknown_ways_of_matching_are_named():
    with pytest.raises(ValueError, match="unknown method 'best', one of quick_match, simple_match, no_split"):
        match_blocks([], [], "best")
