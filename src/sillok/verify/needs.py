"""What a trial needs and this machine may lack: extras, a GPU, executables, weights."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from packaging.requirements import Requirement


@lru_cache
def extras() -> dict[str, list[str]]:
    """Extra -> the distributions it installs, from the installed metadata of Sillok."""
    found: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("sillok") or []:
        requirement = Requirement(line)
        for extra in importlib.metadata.metadata("sillok").get_all("Provides-Extra") or []:
            marker = requirement.marker
            if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
                found.setdefault(extra, []).append(requirement.name)
    return found


@lru_cache
def missing_packages(extra: str) -> tuple[str, ...]:
    """Distributions of an extra that are not installed."""
    lacking = []
    for name in extras().get(extra, []):
        if name == "sillok":
            continue
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(name)
    return tuple(lacking)


def install_line(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'sillok[{extra}]'"


def gpu_present() -> bool:
    """Whether PyTorch sees a CUDA device; asked without importing PyTorch where there is no driver."""
    if not any(os.path.exists(path) for path in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")):  # noqa: PTH110
        return False
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


@lru_cache
def declared(trial: str) -> tuple[str, ...] | None:
    """What a trial says that it needs at the scale "here"; None where that cannot be told.

    It is read in the source: no trial is imported.

    Args:
        trial: the dotted name of its function.
    """
    module, _, name = trial.rpartition(".")
    try:
        found = importlib.util.find_spec(module)
        source = Path(found.origin).read_text(encoding="utf-8") if found and found.origin else ""
        tree = ast.parse(source)
    except (ImportError, ValueError, SyntaxError, OSError):
        return None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            calls = [call for call in node.decorator_list if isinstance(call, ast.Call)]
            given = [word.value for call in calls for word in call.keywords if word.arg == "needs"]
            try:
                said = ast.literal_eval(given[0]) if given else None
            except ValueError:
                return None
            if isinstance(said, dict):
                said = said.get("here", ())
            return None if said is None else tuple(map(str, said))
    return None


def weights_variable(name: str) -> str:
    """The environment variable that names published weights (a path or a hub id)."""
    return "SILLOK_WEIGHTS_" + name.upper().replace("-", "_")


def lacking(needs: Sequence[str]) -> list[str]:
    """What is missing of ``needs``, one sentence each, naming what to do.

    Raises:
        ValueError: a need of an unknown kind.
    """
    found = []
    for need in needs:
        kind, _, name = need.partition(":")
        if need == "gpu":
            if not gpu_present():
                found.append("needs a CUDA GPU, and there is none here")
        elif kind == "exe" and name:
            if shutil.which(name) is None:
                found.append(f"needs the program {name}, which is not on the PATH")
        elif kind == "module" and name:
            if importlib.util.find_spec(name) is None:
                found.append(f"needs the Python module {name}, which is not installed")
        elif kind == "weights" and name:
            if not os.environ.get(weights_variable(name)):
                found.append(f"needs the published weights: set {weights_variable(name)} to a path or hub id")
        elif not name and need in extras():
            packages = missing_packages(need)
            if packages:
                found.append(f"needs {', '.join(packages)}: {install_line(need)}")
        else:
            raise ValueError(
                f"unknown need {need!r}: an extra ({', '.join(extras())}), 'gpu', 'exe:NAME', "
                "'module:NAME' or 'weights:NAME'"
            )
    return found
