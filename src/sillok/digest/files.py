"""Files that are written whole or not at all, left alone where nothing changed, and by one process at a time."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_if_changed(path: Path, content: str | bytes, *, sync: bool = True) -> bool:
    """Write bytes, or text as UTF-8 with its line ends, atomically; return False, and touch nothing, where it is there.

    Without `sync` a power cut may lose it: for what can be made again, and is too many files to wait for each.

    Raises:
        OSError: the folder cannot be made or written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data, sync=sync)
    return True


def write_whole(path: Path, data: bytes, partial: Path | None = None, *, sync: bool = True) -> None:
    """Write a file so that it is there whole or not at all; `partial`, of the same disk, holds it until then.

    Raises:
        OSError: the folder cannot be written.
    """
    handle, temporary = tempfile.mkstemp(dir=partial or path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:  # a full disk: its error names no file
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes of this user and machine out of a folder while its files are read and changed.

    The lock lies among the system's temporary files, since folders of digests are published and committed.

    Raises:
        ImportError: the extra `digest` is not installed.
    """
    try:
        import filelock
    except ImportError:
        raise ImportError("writing digests needs filelock: pip install 'sillok[digest]'") from None
    user = os.getuid() if hasattr(os, "getuid") else 0
    number = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    with filelock.FileLock(Path(tempfile.gettempdir(), f"sillok-{user}-{number}.lock")):
        yield


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
