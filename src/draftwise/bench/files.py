"""Files that survive a crash: logs that grow group by group, and small files that are there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from draftwise.errors import DraftwiseError

ESCAPE = "backslashreplace"
"""A path may hold bytes that are no UTF-8; written like this they are escapes that JSON knows."""

PART = ".part-"
"""Behind the name of a small file that is being written, before the number of the process that writes it."""

LOCK_SECONDS = 10.0
"""How long to wait for a process that still writes to the same place: one that is just being ended lets go of it."""


class Log:
    """Lines that are only ever added, a group at a time: each group is on the disk before ``append`` returns.

    While it is open no other process may add to it.
    """

    def __init__(self, path: Path) -> None:
        """Open the log, making it where there is none.

        Raises:
            DraftwiseError: it can't be written, or another process writes to it.
        """
        self.path = path
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise unwritable(path, error) from None
        _lock(self._file, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def append(self, lines: Iterable[bytes]) -> None:
        """Add whole lines and wait until they are on the disk.

        Raises:
            DraftwiseError: the disk takes no more; then none of the lines is there, and all before them are.
        """
        data = memoryview(b"".join(lines))
        before = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            with suppress(OSError):  # a disk that can't even shrink a file: whoever opens the log next repairs it
                os.ftruncate(self._file, before)
            raise unwritable(self.path, error) from None


class DirectoryLock:
    """Keeps other processes out of a directory; the system lets them in again when this one ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Nothing is locked before ``take``."""
        self.path = path
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process has the directory for itself."""
        return self._file is not None

    def take(self) -> None:
        """Lock the directory, and remove what a killed process left of small files.

        Raises:
            DraftwiseError: another process has it, and went on having it for ``LOCK_SECONDS``.
        """
        try:
            file = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise unwritable(self.path, error) from None
        _lock(file, self.path)
        self._file = file
        for left in self.path.glob(f".*{PART}*"):
            with suppress(OSError):
                left.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _lock(file: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not on this system; nothing then keeps two runs apart
        return
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return  # a file system without locks
            if time.monotonic() > end:
                os.close(file)
                raise DraftwiseError(f"another process writes to {path}; wait for it, or end it") from None
            time.sleep(0.05)


def cut_after(path: Path, size: int) -> bytes:
    """Cut a log to its first ``size`` bytes; what stood behind them is kept in a file of its own, and returned.

    Raises:
        DraftwiseError: it can't be done.
    """
    try:
        with open(path, "r+b") as file:
            file.seek(size)
            rest = file.read()
            if rest:
                with open(path.with_suffix(".torn"), "ab") as aside:
                    aside.write(rest + (b"" if rest.endswith(b"\n") else b"\n"))
                file.truncate(size)
                os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from None
    return rest


def write_whole(path: Path, text: str | bytes) -> None:
    """Write a small file so that a reader finds the old one or the new one, never a part.

    Raises:
        DraftwiseError: it can't be written; an old file stands as it was.
    """
    try:
        with replaced(path) as file:
            file.write(text.encode("utf-8", ESCAPE) if isinstance(text, str) else text)
    except OSError as error:
        raise unwritable(path, error) from None


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to be written that stands under its name only when all of it is on the disk.

    Raises:
        OSError: it can't be written; an old file stands as it was.
    """
    temporary = path.with_name(f".{path.name}{PART}{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> DraftwiseError:
    """What to tell a person whose file can't be written."""
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return DraftwiseError(
            f"{path} cannot grow: {error.strerror}; what is saved stands; make room and run the same command again"
        )
    return DraftwiseError(
        f"{path} cannot be written: {error.strerror}; make it writable, or give another output directory"
    )


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON object.

    Raises:
        DraftwiseError: it can't be read or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DraftwiseError(f"{path} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise DraftwiseError(f"{path} holds no JSON object")
    return value


def to_json(value: Any) -> str:
    """Strict JSON, indented; a NaN or an infinity is an error."""
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
