"""OmniDocBench as a benchmark: its checks, parity with the authors' code, policies, bad input, and the Inspect task."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from sillok.methods.evals.benchmark import find, rescore
from sillok.methods.evals.boards import Leaderboard
from sillok.methods.evals.omnidoc import OmniDocBench, load_pages, omnidoc_score, omnidocbench
from sillok.methods.evals.omnidoc.bench import LONGEST
from sillok.methods.evals.omnidoc.cases import made_cases, made_page, written
from sillok.methods.evals.omnidoc.score import overall
from sillok.methods.evals.predictions import Prediction

KEPT = Path(__file__).parent / "parity"


def exact(gold: str, predicted: str) -> float:
    """A stand-in for CDM, which needs LaTeX."""
    return float(gold.strip("$[]\\ \n") == predicted.strip("$[]\\ \n"))


def clear_page(name: str = "page_1", language: str = "english") -> dict:
    """A page whose gold content, written down, scores without a fault."""
    texts = [
        "A heading",
        "The first paragraph of the page says this.",
        "Another one follows, and it says that.",
    ]
    blocks = [
        {"category_type": "text_block", "anno_id": i, "order": i + 1, "text": t} for i, t in enumerate(texts)
    ]
    table = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"
    blocks.append({"category_type": "table", "anno_id": 7, "order": 4, "html": table, "latex": ""})
    blocks.append(
        {"category_type": "equation_isolated", "anno_id": 8, "order": 5, "latex": "$$E = m c^{2}$$"}
    )
    info = {
        "image_path": f"{name}.jpg",
        "page_attribute": {"language": language, "special_issue": ["watermark"]},
    }
    return {"layout_dets": blocks, "extra": {"relation": []}, "page_info": info}


def gold(page: dict) -> str:
    return "\n\n".join(written(page))


@pytest.fixture(scope="module")
def parity_reports():
    """Compared in a process of its own, in which signatures are not checked: that would take minutes here."""
    said = "import sys; from sillok.methods.evals.parity import kept; "
    said += "[print(r.equal, r.cases, r.figures, r) for r in map(kept, sys.argv[1:])]"
    files = [str(KEPT / f"{name}.json.gz") for name in ("omnidocbench", "omnidocbench_10")]
    done = subprocess.run([sys.executable, "-c", said, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [line.split(" ", 3) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("which", [0, 1])
def test_equal_to_the_authors_code(parity_reports, which):
    equal, cases, figures, report = parity_reports[which]
    assert equal == "True", report
    assert int(cases) >= 1000 and int(figures) > 6000


@pytest.mark.parametrize(("version", "mode", "best"), [("1.0", "strict", 0.0), ("1.5", "published", 100.0)])
def test_gold_scores_full_marks(version, mode, best):
    page = clear_page()
    found = omnidoc_score([page], {"page_1": gold(page)}, version=version, mode=mode, formula_score=exact)
    assert found["overall"] == pytest.approx(best)
    for part in ("text", "formula", "table", "order"):
        assert found[f"{part}_edit"] == 0
    assert found["teds"] == found["teds_structure"] == 100
    assert found["cdm"] == 100 or version == "1.0"  # where the stand-in sees the spaces that 1.0 takes out


def test_in_version_1_0_gold_formulas_keep_their_delimiters():
    page = clear_page()
    found = omnidoc_score([page], {"page_1": gold(page)}, version="1.0")
    assert found["formula_edit"] == pytest.approx(4 / len("$$e=mc^{2}$$"))
    assert found["text_edit"] == found["table_edit"] == found["order_edit"] == 0


def test_the_paper_s_overall_is_the_mean_of_its_parts():
    parts = {"text_edit": 0.058, "formula_edit": 0.278, "table_edit": 0.305, "order_edit": 0.079}
    assert overall(parts, "1.0") == pytest.approx(0.180)
    assert overall({**parts, "table_edit": None}, "1.0") is None
    assert overall({"text_edit": 0.035, "teds": 90.89, "cdm": 91.22}, "1.5") == pytest.approx(92.87, abs=0.01)


@pytest.mark.parametrize("version", ["1.0", "1.5"])
def test_an_empty_file_scores_the_worst(version):
    found = omnidoc_score([clear_page()], {"page_1": ""}, version=version)
    assert [found[f"{part}_edit"] for part in ("text", "formula", "table", "order")] == [1, 1, 1, 1]
    assert found["teds"] == 0 and found["counts"]["empty"] == 1


def test_an_absent_file_is_left_out_as_published_or_scored_as_empty():
    pages = [clear_page("one"), clear_page("two")]
    given = {"one": gold(pages[0])}
    skipped, penalised = (omnidoc_score(pages, given, missing=policy) for policy in ("skip", "penalise"))
    assert (skipped["text_edit"], penalised["text_edit"]) == (0, 0.5)
    for found, said in ((skipped, "left out"), (penalised, "scored as empty")):
        assert found["counts"]["missing"] == 1
        assert any("1 predictions are missing" in why and said in why for why in found["reasons"])
    assert not skipped["comparable"]


def test_without_cdm_there_is_no_board_figure():
    page = clear_page()
    found = omnidoc_score([page], {"page_1": gold(page)})
    assert found["overall"] is None and found["cdm"] is None
    assert found["overall_formula_edit"] == pytest.approx(100)
    assert any("CDM needs LaTeX" in why for why in found["reasons"])
    with pytest.raises(ValueError, match="which this result does not have"):
        OmniDocBench().score([page], {"page_1": ""}).place()


def test_strict_mode_counts_what_was_made_up():
    page = clear_page()
    extra = gold(page) + "\n\nA paragraph that is nowhere on the page, of some length."
    published, strict = (
        omnidoc_score([page], {"page_1": extra}, mode=mode) for mode in ("published", "strict")
    )
    assert published["text_edit"] == 0 < strict["text_edit"]
    page["layout_dets"] = [block for block in page["layout_dets"] if block["category_type"] == "text_block"]
    table = gold(page) + "\n\n<table><tr><td>made up</td><td>cells of it</td></tr></table>"
    published, strict = (
        omnidoc_score([page], {"page_1": table}, mode=mode) for mode in ("published", "strict")
    )
    assert published["text_edit"] == 0 < strict["text_edit"]


def test_a_dropped_paragraph_counts_double_in_version_1_0():
    page = clear_page()
    page["layout_dets"] = page["layout_dets"][:3]
    kept_blocks = "\n\n".join(written(page)[:2])
    published, strict = (
        omnidoc_score([page], {"page_1": kept_blocks}, version="1.0", mode=mode)
        for mode in ("published", "strict")
    )
    lost = len("Anotheronefollowsanditsaysthat")
    whole = len("AheadingThefirstparagraphofthepagesaysthis") + lost
    assert strict["text_edit"] == pytest.approx(lost / whole)
    assert published["text_edit"] == pytest.approx(2 * lost / (whole + lost))


def test_figures_are_means_over_the_pages_that_have_the_part():
    pages = [clear_page("one"), clear_page("two", "simplified_chinese")]
    pages[1]["layout_dets"] = pages[1]["layout_dets"][:2]  # no table, no formula
    found = omnidoc_score(pages, {"one": gold(pages[0]), "two": ""}, version="1.0")
    assert found["text_edit"] == 0.5 and found["table_edit"] == 0
    assert (found["text_edit_en"], found["text_edit_zh"]) == (0, 1)
    assert found["by_attribute"]["page"]["language: simplified_chinese"]["text_edit"] == 1
    assert found["by_attribute"]["page"]["watermark"]["text_edit"] == 0.5
    assert found["pages"]["two"]["table_edit"] is None


def test_predictions_are_found_under_the_names_that_the_authors_look_for():
    page = clear_page("report.pdf_3")
    for name in ("report.pdf_3", "report.pdf_3.jpg", "report_3"):
        found = omnidoc_score([page], {name: gold(page), "stranger": "x"})
        assert found["text_edit"] == 0 and found["counts"]["unknown"] == 1


def test_saved_predictions_in_another_encoding_and_an_empty_one(tmp_path):
    pages = [clear_page(name) for name in ("one", "two", "three")]
    (tmp_path / "one.md").write_bytes(gold(pages[0]).encode("utf-16"))
    (tmp_path / "two.md").write_bytes(gold(pages[1]).encode() + b"\n\n\xff\xfe caf\xe9")
    (tmp_path / "three.md").write_text(" \n")
    result = rescore("omnidocbench", pages, tmp_path, version="1.0")
    assert result.items[0].values["page"] == 0
    assert (result.counts.undecodable, result.counts.empty) == (1, 1)
    assert result.figures["text_edit"] is not None and result.figures["text_edit"] >= 1 / 3


def test_duplicates_and_order_of_predictions():
    pages = [clear_page("one"), clear_page("two")]
    rows = [{"id": "two", "prediction": gold(pages[1])}, {"id": "one", "prediction": "wrong"}]
    rows.append({"id": "one", "prediction": gold(pages[0])})
    result = OmniDocBench("1.0").score(pages, rows)
    assert result.figures["text_edit"] == 0 and result.counts.duplicated == 1


def test_a_prediction_of_ten_megabytes_is_cut_and_said_to_be():
    page = clear_page()
    result = OmniDocBench().score([page], {"page_1": gold(page) + "\n\nand on" * 1_250_000})
    assert any(f"longer than {LONGEST:,} characters" in why for why in result.reasons)
    assert result.figures["teds"] == 100


@pytest.mark.parametrize(
    "part",
    [
        "<table><tr><td>" + 5000 * "<b>" + "x" + 5000 * "</b>" + "</td></tr></table>",
        "<table>" + 5000 * "<span>" + "</table>",
        800 * "<table><tr><td>" + "x" + 800 * "</td></tr></table>",
        "$" + 5000 * "{" + "a_b" + 5000 * "}" + "$",
        "<table><tr><td>\0</td></tr></table> \ud800",
    ],
)
def test_deep_nesting_does_not_make_it_fail(part):
    page = clear_page()
    for version in ("1.0", "1.5"):
        for text in (part, f"{part}\n\n{part}", f"{gold(page)}\n\n{part}"):
            assert OmniDocBench(version).grade(page, Prediction(text), "published").values["page"] <= 1


def test_no_prediction_makes_it_fail():
    rng = Random(1)
    pages = [case["page"] for case in made_cases(40, seed=9)]
    for mode in ("published", "strict"):
        for version in ("1.0", "1.5"):
            bench = OmniDocBench(version)
            made = ("".join(chr(rng.randrange(32, 0x3000)) for _ in range(200)) for _ in pages)
            texts = dict(zip(map(bench.identify, pages), made, strict=True))
            assert 0 <= bench.score(pages, texts, mode=mode).figures["text_edit"] <= 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda page: page.pop("layout_dets"),
            "entry 1 is no page of OmniDocBench, layout_dets, extra, page_info",
        ),
        (lambda page: page["page_info"].pop("image_path"), "entry 1 has no page_info.image_path"),
    ],
)
def test_a_page_in_another_format_is_named(change, said):
    page = made_page(Random(0), "b")
    change(page)
    with pytest.raises(ValueError, match=said):
        omnidoc_score([clear_page(), page], {})


def test_unknown_versions_and_ways_are_named():
    with pytest.raises(ValueError, match=r"version must be one of 1\.5, 1\.0, not '2'"):
        OmniDocBench("2")
    with pytest.raises(ValueError, match="match must be one of quick_match"):
        OmniDocBench(match="slow_match")
    assert find("omnidocbench", "1.0", match="no_split").match == "no_split"


def test_the_boards_are_apart():
    new, old = (Leaderboard.load("omnidocbench", version) for version in ("1.5", "1.0"))
    assert (new.items, old.items) == (1355, 981)
    assert new.rows[0].system.startswith("PaddleOCR-VL") and new.rows[0].figures["overall"] == 92.86
    first = next(row for row in old.rows if row.system == "MinerU-0.9.3 (December 2024)")
    assert (first.figures["overall_en"], first.figures["overall_zh"]) == (0.18, 0.384)
    assert all(row.verified for board in (new, old) for row in board.rows)
    for row in old.rows:  # the printed overall is the mean of the printed parts
        parts = [row.figures[f"{part}_edit_en"] for part in ("text", "formula", "table", "order")]
        if row.system != "OpenParse-0.7.0":  # prints 0.646, and its parts have a mean of 0.639
            assert sum(parts) / 4 == pytest.approx(row.figures["overall_en"], abs=0.004), row.system


@pytest.fixture
def data(tmp_path):
    from PIL import Image

    pages = [clear_page("one"), clear_page("two", "simplified_chinese")]
    (tmp_path / "images").mkdir()
    for page in pages:
        Image.new("RGB", (40, 60), "white").save(tmp_path / "images" / page["page_info"]["image_path"])
    (tmp_path / "OmniDocBench.json").write_text(json.dumps(pages))
    return tmp_path


def test_the_task_scores_as_saved_predictions_are(data):
    from inspect_ai import eval as evaluate
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    from sillok.methods.evals.benchmark import result_of_log

    pages, _ = load_pages(data)
    replies = [gold(pages[0]), "Something else altogether"]
    outputs = [ModelOutput.from_content("mockllm/model", reply) for reply in replies]
    for output in outputs:
        output.usage = ModelUsage(
            input_tokens=1, output_tokens=1, total_tokens=2
        )  # counting would ask the network
    model = get_model("mockllm/model", custom_outputs=outputs, memoize=False)
    log = evaluate(
        omnidocbench(str(data), version="1.0"),
        model=model,
        max_samples=1,
        log_dir=str(data / "logs"),
        display="none",
    )[0]
    assert log.status == "success", log.error
    wanted = omnidoc_score(pages, dict(zip(("one", "two"), replies, strict=True)), version="1.0")
    result = result_of_log(log)
    for name in ("overall", "text_edit", "teds", "text_edit_en"):
        assert result.figures[name] == pytest.approx(wanted[name])
        assert log.results.scores[0].metrics[name].value == pytest.approx(wanted[name])
    assert not result.place().comparable and result.place().rank >= 1


def test_the_task_takes_a_language_and_a_limit(data):
    assert [sample.id for sample in omnidocbench(str(data), language="simplified_chinese").dataset] == ["two"]
    assert len(omnidocbench(str(data), limit=1).dataset) == 1
    with pytest.raises(ValueError, match="language must be one that pages have"):
        omnidocbench(str(data), language="latin")


def test_sources_that_are_none_are_named(tmp_path, data):
    with pytest.raises(ValueError, match=r"holds no OmniDocBench\.json"):
        load_pages(tmp_path / "images")
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(ValueError, match="holds no list of pages"):
        load_pages(tmp_path / "other.json")
    (data / "images" / "one.jpg").unlink()
    with pytest.raises(ValueError, match=r"there is no picture one\.jpg"):
        omnidocbench(str(data))
    with pytest.raises(ValueError, match="neither a folder, nor a file"):
        load_pages("nowhere")
