"""The house: arrows point down, the core imports no framework, no file is too long."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sillok

ROOT = Path(sillok.__file__).parent
FLOORS = {"cli": 4, "web": 3, "trials": 3, "verify": 2, "_inspect": 2}  # 1 for all others
FRAMEWORKS = (
    "torch",
    "diffusers",
    "transformers",
    "inspect_ai",
    "ray",
    "altair",
    "sqlalchemy",
    "numpy",
    "pydantic",
    "fastapi",
    "starlette",
    "jinja2",
)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_and_files_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    mine = room(path)
    if mine == "__init__":
        return
    for line in re.findall(r"^\s*(?:from sillok\S* import .*|import sillok\S*)", text, flags=re.M):
        match = re.match(r"\s*from sillok import (.+)", line)
        named = match[1].split(",") if match else re.findall(r"sillok\.(\w+)", line)
        for other in (name.strip().split(" ")[0].strip("()") for name in named):
            if other in ("__version__", mine, "") or not (ROOT / other).exists():
                continue
            assert FLOORS.get(other, 1) < FLOORS.get(mine, 1), f"{mine} imports {other}"


@pytest.mark.parametrize(
    "code",
    [
        "import sillok",
        "import sillok.testbeds",
        "import sillok.cli",
        "import sillok.papers",
        "import sillok.web",
    ],
)
def test_importing_loads_no_framework(code: str) -> None:
    script = f"import sys; {code}; print([m for m in {FRAMEWORKS!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_package_offers_what_it_says() -> None:
    assert sillok.read.__name__ == "read"
    assert callable(sillok.verify)
    assert sillok.papers.load("2411.19870").family == "optim"
    assert not hasattr(sillok, "no_such_thing")


def test_shapes_in_signatures_are_checked_in_the_tests() -> None:
    """The hook of tests/conftest.py is at work: a tensor of the wrong number of axes is refused."""
    import torch

    from sillok.methods.optim.demo import topk_compress

    with pytest.raises(Exception, match="topk_compress"):
        topk_compress(torch.zeros(4), 2)
