"""An experiment: options of which some take several values, and the runs that this makes.

Options that only some methods read, and the draft, are swept within a run, so that all its cells meet each prompt back
to back. An option that every method reads, or the target itself, makes a run for each of its values, with a baseline of
its own.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

from draftwise.bench.cells import short_names, shown
from draftwise.bench.settings import Axis, BenchSettings
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions


class Several(tuple[Any, ...]):
    """The values of an option that takes several: two at least, each different from the others."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of an experiment.

    Attributes:
        label: what tells it from the experiment's other runs; empty where it is the only one.
        folder: the directory under the experiment's, "." where it is the only one.
        settings: what it measures.
    """

    label: str
    folder: str
    settings: BenchSettings


def expand(values: Mapping[str, Any]) -> list[PlannedRun]:
    """The runs that options make, by the names of the fields of ``BenchSettings`` and ``DecodingOptions``.

    Raises:
        DraftwiseError: a value or a name that is of no use in one of the runs.
    """
    within = _options_of_methods()
    sweep = tuple(Axis(name, tuple(v)) for name, v in values.items() if isinstance(v, Several) and name in within)
    outer = {name: v for name, v in values.items() if isinstance(v, Several) and name not in within}
    firsts = {name: v[0] if isinstance(v, Several) else v for name, v in values.items()}
    runs = []
    for number, chosen in enumerate(product(*outer.values()), 1):
        own = dict(zip(outer, chosen, strict=True))
        settings = _settings(firsts | own, sweep)
        label = " ".join(f"{name}={_text(outer[name], value)}" for name, value in own.items())
        folder = f"{number:02}-{re.sub(r'[^A-Za-z0-9_.=+-]+', '-', label)}" if label else "."
        runs.append(PlannedRun(label, folder, settings))
    return runs


def _options_of_methods() -> set[str]:
    """The options that can be swept within a run."""
    from draftwise.methods import METHODS

    return {name for method in METHODS.values() for name in method.options} | {"draft"}


def _settings(values: Mapping[str, Any], sweep: tuple[Axis, ...]) -> BenchSettings:
    names = {item.name for item in fields(BenchSettings)}
    decoding = {item.name: values[item.name] for item in fields(DecodingOptions) if item.name in values}
    own = {name: value for name, value in values.items() if name in names}
    return BenchSettings(**own, decoding=DecodingOptions(**decoding), sweep=sweep)


def _text(values: Iterable[Any], value: Any) -> str:
    """A value in a run's label; names of models by their ends."""
    return short_names(list(values))[value] if isinstance(value, str) else shown(value)


def read_experiment(path: str | Path, known: Mapping[str, str]) -> dict[str, Any]:
    """The options that a TOML file gives, scalars and lists as they stand there.

    Args:
        path: the file.
        known: the name of the option for each key that the file may hold; a key's dashes count as underscores.

    Raises:
        DraftwiseError: the file can't be read, is no TOML, or holds a table, an unknown key, or one option twice.
    """
    options: dict[str, Any] = {}
    for key, value in _parse(Path(path)).items():
        name = known.get(key.replace("-", "_"))
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            raise DraftwiseError(
                f"{path}: [{key}] is a table; an experiment's options stand in the file without tables"
            )
        if name is None:
            near = difflib.get_close_matches(key.replace("-", "_"), known, 1)
            meant = f"did you mean {near[0]!r}?" if near else "its keys are the options of 'draftwise bench --help'"
            raise DraftwiseError(f"{path}: unknown key {key!r}; {meant}")
        if name in options:
            raise DraftwiseError(f"{path}: {key!r} gives the option {name!r} a second time; keep one")
        options[name] = value
    return options


def _parse(path: Path) -> dict[str, Any]:
    try:
        # With a line feed at its end even an error on the last line has its place named.
        return tomllib.loads(path.read_bytes().decode("utf-8-sig") + "\n")
    except OSError as error:
        raise DraftwiseError(
            f"the experiment {str(path)!r} cannot be read: {error.strerror}; give a TOML file"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise DraftwiseError(f"{path} is not valid TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise DraftwiseError(f"{path} is not valid TOML: it is not UTF-8 text ({error.reason})") from None
    except RecursionError:
        raise DraftwiseError(f"{path} is not valid TOML: its lists are nested too deeply") from None
