"""The command line: what it prints, what it exits with, and one clear line for whatever goes wrong."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sillok import digest

TOY = "2401.00001"


def sillok(
    *arguments: str, env: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sillok.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | (env or {}), timeout=300, **options
    )


def one_line(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """The command ended with this code and one line on standard error that has these parts."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("sillok: ")
    for part in parts:
        assert part in last
    assert done.stdout == ""


@pytest.fixture(autouse=True)
def own_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "record.sqlite"
    monkeypatch.setenv("SILLOK_RECORD", f"sqlite:///{path}")
    return path


@pytest.fixture
def small_digest(tmp_path: Path) -> Path:
    """A digest of four entries: two with cards, one unknown, one without a link."""
    path = tmp_path / "day.md"
    path.write_text(
        "## Daily Papers (2024-12-04)\n\n"
        "### [DeMo: Decoupled Momentum Optimization](https://arxiv.org/abs/2411.19870)\n\n"
        "Vote: 1\n\nAuthors: A, B\n\n- ***What's New***: 새로운 최적화기입니다.\n\n"
        "### [A paper that nobody has](https://arxiv.org/abs/2401.99999)\n\n"
        "Vote: -\n\nAuthors: C\n\n- ***What's New***: 아무도 모르는 가오리 모델입니다.\n\n"
        "### No link at all\n\nVote: 3\n",
        encoding="utf-8",
    )
    return path


def test_read_lists_entries_and_warns_by_line(small_digest: Path) -> None:
    done = sillok("read", str(small_digest), "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert [row["id"] for row in rows] == ["2411.19870", "2401.99999", None]
    assert [row["card"] for row in rows] == [True, False, False]
    assert rows[0]["claims"] == ["traffic"]
    assert rows[1]["votes"] is None
    assert "day.md:19: " in done.stderr


def test_what_was_read_can_be_searched_in_korean(small_digest: Path) -> None:
    assert sillok("read", str(small_digest)).returncode == 0
    for words in ("가오리", "가오리 모델", "모델"):
        hits = json.loads(sillok("search", *words.split(), "--json").stdout)
        assert "2401.99999" in [hit["id"] for hit in hits], words
    assert sillok("search", "돌고래").stderr.strip() == "nothing found"


def test_search_finds_the_catalogue_without_any_digest() -> None:
    hits = json.loads(sillok("search", "decoupled", "momentum", "--json").stdout)
    assert hits[0]["id"] == "2411.19870"


def test_list_and_show() -> None:
    rows = json.loads(sillok("list", "--family", "optim", "--json").stdout)
    assert {row["family"] for row in rows} == {"optim"}
    row = next(row for row in rows if row["id"] == "2411.19870")
    assert row["method"] is True
    assert row["trials"] == ["sillok.trials.optim.demo.traffic"]
    shown = json.loads(sillok("show", "2411.19870", "--json").stdout)
    assert list(shown)[:5] == ["id", "title", "family", "methods", "claims"]
    claim = shown["claims"][0]
    assert {"id", "paper", "verdict", "scope", "measurements", "machine"} <= set(claim)
    assert claim["paper"]["value"] == 85.0
    text = sillok("show", "2411.19870", "--lang", "ko").stdout
    assert "모멘텀" in text
    assert not Path(os.environ["SILLOK_RECORD"].removeprefix("sqlite:///")).exists()  # looking makes no file


def test_verify_prints_objects_and_runs_can_be_listed(toys: str) -> None:
    done = sillok("verify", f"{TOY}/good", "--scale", "smoke", "--json")
    assert done.returncode == 0, done.stderr
    (paper,) = json.loads(done.stdout)
    (claim,) = paper["claims"]
    assert claim["verdict"] == "upheld"
    assert "2401.00001 good: UPHELD" in done.stderr
    rows = json.loads(sillok("runs", "--json").stdout)
    assert len(rows) == 6
    assert {"run", "paper", "claim", "arm", "seed", "scale", "state", "seconds"} <= set(rows[0])
    assert {row["state"] for row in rows} == {"done"}
    assert f"arm {rows[0]['arm']}" in sillok("runs", "--log", rows[0]["run"]).stdout
    shown = json.loads(sillok("show", TOY, "--json").stdout)
    verdicts = {claim["id"]: claim["verdict"] for claim in shown["claims"]}
    assert verdicts["good"] == "upheld"
    assert verdicts["nan"] is None
    listed = json.loads(sillok("list", "--family", "toys", "--json").stdout)
    assert listed[0]["verdicts"]["good"] == "upheld"


@pytest.mark.parametrize(("wanted", "code"), [("upheld", 0), ("not upheld", 3)])
def test_require(toys: str, wanted: str, code: int) -> None:
    done = sillok("verify", f"{TOY}/good", "--scale", "smoke", "--require", wanted)
    assert done.returncode == code
    assert ("--require 'not upheld': not met by 1 of 1 claims" in done.stderr) == (code == 3)


def test_a_date_names_its_digest(toys: str) -> None:
    done = sillok("verify", "2024-01-02", "--scale", "smoke", "--minutes", "0.0005", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["id"] == TOY
    assert "left out" in done.stderr


def test_a_file_with_nothing_to_measure_says_so(tmp_path: Path) -> None:
    path = tmp_path / "one.md"
    one = digest.Digest(date=None, entries=(digest.Entry(id="2410.02740", title="Revisit Captions"),))
    path.write_text(digest.write(one), encoding="utf-8")
    done = sillok("verify", str(path), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == []
    assert "1 of 1 papers have no trial yet" in done.stderr


def test_placebo_and_fault(toys: str) -> None:
    for mode in ("placebo", "fault"):
        done = sillok("verify", f"{TOY}/good", "--scale", "smoke", f"--{mode}", "--json")
        assert json.loads(done.stdout)[0]["claims"][0]["verdict"] == "not upheld"
    done = sillok("verify", f"{TOY}/good", "--placebo", "--fault")
    assert done.returncode == 2


def test_export_and_import_lose_nothing(toys: str, tmp_path: Path) -> None:
    assert sillok("verify", f"{TOY}/good", "--scale", "smoke").returncode == 0
    before = sillok("runs", "--json").stdout
    for kind in ("json", "parquet"):
        folder = tmp_path / kind
        assert sillok("export", str(folder), f"--{kind}").returncode == 0
        other = f"sqlite:///{tmp_path / kind}.sqlite"
        done = sillok("import", str(folder), "--record", other)
        assert "6 runs" in done.stdout
        assert sillok("runs", "--json", "--record", other).stdout == before
    assert sillok("export", str(tmp_path / "x"), "--json", "--parquet").returncode == 2


def test_results_as_files(toys: str, tmp_path: Path) -> None:
    from sillok.verify import results

    assert sillok("verify", f"{TOY}/good", "--scale", "smoke").returncode == 0
    done = sillok("export", str(tmp_path / "r"), "--results", "--scale", "smoke")
    (path,) = done.stdout.split()
    bundle = results.read(Path(path))
    assert len(bundle.runs) == 6
    assert [verdict.verdict for verdict in bundle.verdicts] == ["upheld"]


def test_doctor() -> None:
    done = sillok("doctor", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["cards"] >= 130
    assert found["extras"]["optim"]["missing"] == []
    assert found["problems"] == []


def test_help_has_examples_and_version() -> None:
    for command in (
        "read",
        "list",
        "show",
        "verify",
        "report",
        "runs",
        "search",
        "doctor",
        "export",
        "import",
        "serve",
    ):
        done = sillok(command, "--help")
        assert done.returncode == 0
        assert "Example" in done.stdout
        assert f"sillok {command}" in done.stdout
    assert sillok("--version").stdout.strip() == "0.1.0"


def test_completion_is_offered() -> None:
    done = sillok("--show-completion", "bash")
    assert done.returncode in (0, 1)
    assert "--show-completion" in sillok("--help").stdout


def test_bars_on_a_terminal(toys: str) -> None:
    import pty

    chunks: list[bytes] = []

    def keep(descriptor: int) -> bytes:
        chunks.append(os.read(descriptor, 65536))
        return chunks[-1]

    command = [
        sys.executable,
        "-m",
        "sillok.cli",
        "verify",
        f"{TOY}/good",
        f"{TOY}/raises",
        "--scale",
        "smoke",
    ]
    assert pty.spawn(command, keep) == 0
    shown = b"".join(chunks).decode()
    assert "━" in shown
    assert "6/6" in shown
    assert "upheld" in shown
    assert "the method has no luck" in shown
    assert "Traceback" not in shown


# What goes wrong


def test_unknown_id() -> None:
    one_line(sillok("show", "2411.19871"), 1, "2411.19871", "2411.19870")
    one_line(sillok("verify", "2411.19871"), 1, "2411.19871")
    one_line(sillok("verify", "2411.19870/speed"), 1, "no claim 'speed'", "traffic")


def test_unknown_date() -> None:
    one_line(sillok("verify", "2031-01-01"), 1, "no digest of 2031-01-01", "2024-12-04")


def test_unreadable_files(tmp_path: Path) -> None:
    one_line(sillok("read", str(tmp_path / "nothing.md")), 1, "nothing.md")
    one_line(sillok("read", str(tmp_path)), 1)
    (tmp_path / "binary.md").write_bytes(bytes(range(256)) * 40)
    one_line(sillok("read", str(tmp_path / "binary.md")), 1, "binary.md")
    one_line(sillok("verify", "no-such-thing"), 1, "no file, no date", "arXiv id")


def test_a_card_with_an_unknown_key(toys: str, toy_package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "more"
    (folder / "badcards").mkdir(parents=True)
    (folder / "badcards" / "__init__.py").write_text("")
    good = (toy_package / "toycards" / f"{TOY}.toml").read_text()
    (folder / "badcards" / "2401.00002.toml").write_text(
        good.replace(TOY, "2401.00002", 1) + "\ncolour = 'red'\n"
    )
    info = folder / "badcards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: badcards\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sillok.papers]\nbad = badcards\n")
    env = {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}"}
    done = sillok("list", "--family", "toys", env=env)
    assert done.returncode == 0
    assert "2401.00002.toml" in done.stderr
    assert "colour" in done.stderr
    assert TOY in done.stdout
    one_line(sillok("show", "2401.00002", env=env), 1, "2401.00002.toml", "colour", "'red'")
    assert sillok("doctor", env=env).returncode == 1


def test_full_disk(toys: str, own_record: Path) -> None:
    assert sillok("verify", f"{TOY}/good", "--scale", "smoke").returncode == 0
    limit = own_record.stat().st_size

    def small_files() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = sillok("verify", f"{TOY}/chatty", "--scale", "smoke", preexec_fn=small_files)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "sillok: " in done.stderr.strip().splitlines()[-1]
    assert len(json.loads(sillok("runs", "--json").stdout)) >= 6  # nothing of before is lost
    assert json.loads(sillok("show", TOY, "--json").stdout)["claims"][0]["verdict"] == "upheld"


def test_read_only_record(toys: str, own_record: Path) -> None:
    assert sillok("verify", f"{TOY}/good", "--scale", "smoke").returncode == 0
    env = {"SILLOK_RECORD": f"sqlite:///file:{own_record}?mode=ro&uri=true"}
    one_line(sillok("verify", f"{TOY}/good", "--scale", "smoke", env=env), 1, "read-only")
    shown = json.loads(sillok("show", TOY, "--json", env=env).stdout)
    assert shown["claims"][0]["verdict"] == "upheld"


def test_damaged_record(own_record: Path) -> None:
    own_record.write_bytes(b"this is no database" * 100)
    one_line(sillok("runs"), 1, str(own_record))


def test_a_missing_extra(tmp_path: Path) -> None:
    """Without the packages of an extra the claim is out of reach, and the command that installs them is named."""
    hide = "import importlib.metadata as m; v = m.version\n"
    hide += (
        "def version(name):\n    if name == 'torch': raise m.PackageNotFoundError(name)\n    return v(name)\n"
    )
    hide += "m.version = version\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = sillok("verify", "2411.19870", "--scale", "smoke", "--json", "--require", "upheld", env=env)
    assert done.returncode == 3
    claim = json.loads(done.stdout)[0]["claims"][0]
    assert claim["verdict"] == "out of reach"
    assert claim["reason"] == "needs torch: pip install 'sillok[optim]'"


def test_a_gpu_that_is_not_there() -> None:
    from sillok.verify import needs

    if needs.gpu_present():
        assert sillok("verify", "2411.19870", "--scale", "smoke", "--device", "cuda").returncode == 0
        return
    one_line(sillok("verify", "2411.19870", "--device", "cuda"), 1, "CUDA GPU")


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "--scale", "huge"),
        ("verify", "--jobs", "0"),
        ("verify", "--require", "true"),
        ("nonsense",),
        ("show",),
        ("runs", "--limit", "x"),
    ],
)
def test_wrong_usage_exits_with_two(arguments: tuple[str, ...]) -> None:
    done = sillok(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("verify", "2411.19870", "--on", "mars"), "'mars'"),
        (("verify", "2411.19870", "--minutes", "-1"), "minutes must be positive"),
        (("verify", "2411.19870", "--report", "/no/such/folder/r.html"), "/no/such/folder"),
        (("report", "2411.19870", "--out", "/no/such/folder/r.html"), "/no/such/folder"),
        (("runs", "--log", "feedfeedfeedfeed"), "feedfeedfeedfeed"),
        (("list", "--family", "nonsense"), "no paper"),
        (("import", "/no/such/folder"), "/no/such/folder"),
        (("runs", "--record", "mysql://x/y"), "SQLite or PostgreSQL"),
    ],
)
def test_bad_values_are_one_line(arguments: tuple[str, ...], part: str) -> None:
    env = {"SILLOK_RECORD": "sqlite:///unused.sqlite"} if "runs" not in arguments else None
    one_line(sillok(*arguments, env=env), 1, part)
