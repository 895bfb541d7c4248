"""The cache on disk: papers' files by identifier and version for ever, answers with what revalidates them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sillok.digest.files import write_whole

_LEFT_BEHIND = 86_400  # seconds after which a file that a killed process was writing is removed


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was kept: its text, when it came (seconds of the epoch), and its validators."""

    url: str
    text: str
    time: float
    etag: str = ""
    last_modified: str = ""


def cache_root(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder given, else the environment's `SILLOK_CACHE`, else the user's cache folder of the platform."""
    chosen = os.fspath(given) if given is not None else os.environ.get("SILLOK_CACHE")
    if not chosen:
        import platformdirs

        chosen = platformdirs.user_cache_dir("sillok", appauthor=False)
    return Path(chosen)


class Cache:
    """Files below one folder; each is written whole or not at all, so that a kill leaves nothing half.

    The folder is `cache_root(root)`.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.root = cache_root(root)
        self._partial = self.root / "partial"
        self._partial.mkdir(parents=True, exist_ok=True)
        for file in self._partial.iterdir():
            with contextlib.suppress(OSError):  # another process was quicker
                if time.time() - file.stat().st_mtime > _LEFT_BEHIND:
                    file.unlink()

    def write(self, path: Path, data: bytes) -> None:
        """Write a file in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data, self._partial)

    def paper(self, id: str, version: int, suffix: str) -> Path:
        """Where a paper's file lies, there or not; `suffix` is ".html" or ".pdf"."""
        return self.root / "papers" / f"{file_name(id, version)}{suffix}"

    def newest(self, id: str) -> int | None:
        """The newest version of a paper that lies here, or None."""
        from sillok.digest.texts import parse_name

        name = file_name(id, None)
        folder = (self.root / "papers" / name).parent
        found = [parse_name(file.stem) for file in folder.glob(f"{name}v*")] if folder.is_dir() else []
        versions = [named[1] for named in found if named is not None and named[0] == id and named[1]]
        return max(versions, default=None)

    def _answer(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.root / "answers" / digest[:2] / f"{digest}.json"

    def kept(self, key: str) -> Kept | None:
        """The answer that is kept for an address; one that cannot be read counts as none."""
        try:
            found = Kept(**json.loads(self._answer(key).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.url == key and isinstance(found.text, str) else None

    def keep(self, kept: Kept) -> None:
        """Keep an answer in place of the one before."""
        self.write(self._answer(kept.url), json.dumps(asdict(kept), ensure_ascii=False).encode())


def file_name(id: str, version: int | None) -> str:
    """A paper's name as a file: "2411.19870v2"; "/" of old identifiers is "_"."""
    return id.replace("/", "_") + (f"v{version}" if version is not None else "")
