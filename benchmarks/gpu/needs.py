"""Says in one line which packages this interpreter lacks for the GPU benchmark; needs none itself."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
EXTRA = ("transformers", "pytest", "hypothesis")
"""Beside what the package itself depends on: the peer, and what the tests need."""
MODULES = {"py-cpuinfo2": "cpuinfo", "rouge-score": "rouge_score"}
"""Packages that are imported under another name than their own."""
IMPORTED = ("rouge_score.rouge_scorer",)
"""Modules that are tried, since they need further packages that usually come along with them."""


def lacking() -> list[str]:
    """The packages that can't be imported, as pip calls them."""
    declared = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["dependencies"]
    names = [*(re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0] for line in declared), *EXTRA]
    missing = [name for name in names if find_spec(MODULES.get(name, name.replace("-", "_"))) is None]
    for module in IMPORTED:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and error.name != module.partition(".")[0]:
                missing.append(error.name)
    return missing


if __name__ == "__main__":
    found = lacking()
    if found:
        print(
            f"benchmarks/gpu: {sys.executable} lacks {', '.join(found)}; install them, or put their wheels into a "
            "directory and name it in WHEELS",
            file=sys.stderr,
        )
        sys.exit(2)
