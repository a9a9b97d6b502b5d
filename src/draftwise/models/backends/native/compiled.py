"""The native library: compiled where it first runs, for the processor it runs on, and kept for the next time."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from draftwise.compiling import note_compilation
from draftwise.errors import DraftwiseError

COMPILERS = ("c++", "g++", "clang++")
SOURCE = Path(__file__).parent / "source"

_FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-fno-math-errno")
_TARGETS = ("-march=native", "-mcpu=native")
"""How a compiler is told to use all that this processor can do: the first that it takes."""
_SIGNATURES = {
    "draftwise_packed_elements": (ctypes.c_int64, (ctypes.c_int64,) * 4),
    "draftwise_padded_outputs": (ctypes.c_int64, (ctypes.c_int64,) * 2),
    "draftwise_pack": (None, (ctypes.c_int64, ctypes.c_void_p, *(ctypes.c_int64,) * 3, ctypes.c_void_p)),
    "draftwise_pack_vector": (None, (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)),
    "draftwise_instructions": (ctypes.c_char_p, (ctypes.c_int64,)),
    "draftwise_cache_elements": (ctypes.c_int64, (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)),
    "draftwise_workspace": (ctypes.c_void_p, ()),
    "draftwise_free_workspace": (None, (ctypes.c_void_p,)),
    "draftwise_forward": (
        ctypes.c_int64,
        (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64),
    ),
    "draftwise_round": (ctypes.c_int64, (ctypes.c_void_p,) * 5),
}


class Attempt(NamedTuple):
    """The library, or why there is none."""

    functions: ctypes.CDLL | None
    reason: str | None


def native_library() -> ctypes.CDLL:
    """The library.

    Raises:
        DraftwiseError: it can't be compiled here; the reason is in the message.
    """
    attempt = try_library()
    if attempt.functions is None:
        raise DraftwiseError(f"the native backend can't run: {attempt.reason}")
    return attempt.functions


@lru_cache(maxsize=1)
def try_library() -> Attempt:
    """Load the library, compiling it if this is its first time with this compiler on this processor."""
    compiler = _compiler()
    if compiler is None:
        return Attempt(None, f"no C++ compiler found ({', '.join(COMPILERS)}); install one, or name it in CXX")
    try:
        return Attempt(_load(compiler), None)
    except (OSError, subprocess.SubprocessError) as error:
        return Attempt(None, f"{compiler} can't compile it ({_said(error)})")


def _compiler() -> str | None:
    """The compiler that CXX names, or the first that is installed."""
    wanted = os.environ.get("CXX")
    return shutil.which(wanted) if wanted else next(filter(None, map(shutil.which, COMPILERS)), None)


def _load(compiler: str) -> ctypes.CDLL:
    failure: Exception | None = None
    for target in _TARGETS:
        try:
            return _bind(_compiled(compiler, (*_FLAGS, target)))
        except subprocess.SubprocessError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _compiled(compiler: str, flags: tuple[str, ...]) -> Path:
    """The library's file, from an earlier time if nothing that matters has changed since."""
    place = _cache_directory() / f"draftwise-{_fingerprint(compiler, flags)}.so"
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as room:
        fresh = Path(room) / place.name
        command = [compiler, *flags, "-o", str(fresh), str(SOURCE / "library.cpp")]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        note_compilation()
        os.replace(fresh, place)
    return place


def _cache_directory() -> Path:
    """Where compiled libraries are kept: the user's cache, or where that can't be written, a directory of their own."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "draftwise" / "native"
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=base):
            return base
    except OSError:
        return Path(tempfile.mkdtemp(prefix="draftwise-native-"))


def _fingerprint(compiler: str, flags: tuple[str, ...]) -> str:
    """What the compiled code follows from: sources, compiler, flags, and the processor that ``native`` stands for."""
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True, timeout=60).stdout
    digest = hashlib.sha256("\0".join((version, *flags, platform.machine(), _processor())).encode())
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """What the system says the processor can do; on systems that don't say, its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _bind(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _said(error: Exception) -> str:
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    lines = [line for line in str(text).splitlines() if "error" in line] or str(text).splitlines() or ["no output"]
    return lines[0].strip()
