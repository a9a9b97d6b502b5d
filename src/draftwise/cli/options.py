"""Turns a settings dataclass into click options, so that a setting is declared once, where it is used.

A field made with ``draftwise.options.option`` becomes ``--field-name`` with its default, its help and its check. Its
type decides the form: a bool is a flag, a tuple of whole numbers an option that may be repeated, a tuple of strings a
list with commas, everything else a value. A command that sweeps asks for lists: then numbers that say how to decode,
and the fields in ``LISTED``, take several values with commas.

Values come from the command line as text, and from an experiment's file as TOML's own types, which are not guessed at:
there a number is a number and a text is a text, commas and all.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Container, Mapping
from dataclasses import Field, fields
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from draftwise.bench.experiment import Several
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "stop_token_ids": ("--stop-id",),
    "draft": ("--draft", "--approx"),
    "output": ("--output", "-o"),
}
"""The fields whose option isn't spelled as the field is."""

METAVARS: Mapping[str, str] = {
    "target": "builtin|DIR|ID",
    "draft": "builtin|DIR|ID",
    "revision": "NAME",
    "draft_revision": "NAME",
    "methods": "NAMES",
    "subtasks": "NAMES",
    "suite": "NAME",
    "data": "FILE",
    "prompt_field": "NAME",
    "reference_field": "NAME",
    "truncate": "none|left",
    "chat_template": "auto|none|FILE",
    "dtype": "NAME",
    "draft_dtype": "NAME",
    "device": "NAME",
    "draft_device": "NAME",
    "implementation": "auto|own|transformers",
    "draft_implementation": "auto|own|transformers",
    "backend": "auto|NAME",
    "draft_backend": "auto|NAME",
    "output": "DIR",
    "stop_token_ids": "ID",
}

_SHARED = ("dtype", "device", "implementation", "backend")
LISTED = frozenset(("target", "draft", *_SHARED, *(f"draft_{name}" for name in _SHARED))) | {
    name for name, hint in typing.get_type_hints(DecodingOptions).items() if hint in (int, float)
}
"""The fields that take several values where a command sweeps."""

FILE_KEY = "draftwise.experiment"
"""Where the context keeps the name of the experiment's file, for messages."""


def settings_options(
    kind: type[Any], *, only: Container[str] | None = None, lists: bool = False
) -> Callable[[Command], Command]:
    """Give a command one option for each field of ``kind`` that was made with ``option``, or for some of them.

    Args:
        kind: the dataclass.
        only: the fields to take; all if None.
        lists: whether the fields in ``LISTED`` take several values, which arrive as a ``Several``.
    """
    hints = typing.get_type_hints(kind)
    known = [item for item in fields(kind) if "help" in item.metadata and (only is None or item.name in only)]

    def decorate(command: Command) -> Command:
        for item in reversed(known):
            command = _click_option(item, hints[item.name], lists and item.name in LISTED)(command)
        return command

    return decorate


def build(kind: type[T], values: Mapping[str, Any], **more: Any) -> T:
    """Make the settings from a command's parameters, leaving out those of its other options."""
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names}, **more)


def keys_of(command: click.Command) -> dict[str, str]:
    """What an experiment's file may call a command's options: the fields' names and the options' own spellings."""
    keys: dict[str, str] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name is not None:
            spellings = [text[2:].replace("-", "_") for text in parameter.opts if text.startswith("--")]
            keys |= dict.fromkeys([parameter.name, *spellings], parameter.name)
    return keys


def experiment_values(values: Mapping[str, Any], *kinds: type[Any]) -> dict[str, Any]:
    """A file's values in the form in which options take them, each held against its field's type.

    Raises:
        DraftwiseError: naming the first value of another type.
    """
    hints = {name: hint for kind in kinds for name, hint in typing.get_type_hints(kind).items()}
    return {name: _from_file(name, _without_none(hints[name]), value) for name, value in values.items()}


def _click_option(item: Field[Any], hint: Any, lists: bool) -> Callable[[Command], Command]:
    name, kind = item.name.replace("_", "-"), _without_none(hint)
    usual = f"--{name}/--no-{name}" if kind is bool and item.default else f"--{name}"
    spelling = SPELLINGS.get(item.name, (usual,))
    part = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    default: Any = ",".join(item.default) if part is str else item.default  # type: ignore[arg-type]
    return click.option(
        *spelling,
        item.name,
        type=str if part is str else _Values(kind) if lists else part or kind,
        is_flag=kind is bool,
        multiple=part is int,
        default=default,
        show_default=kind is not bool and default not in (None, "", ()),
        help=item.metadata["help"],
        metavar=_metavar(item.name, kind, lists),
        callback=_checked(item, part is str),
    )


def _metavar(name: str, kind: Any, lists: bool) -> str | None:
    known = METAVARS.get(name)
    if not lists:
        return known
    return f"{known or {int: 'INTEGER', float: 'FLOAT'}.get(kind, 'TEXT')}[,…]"


def _without_none(hint: Any) -> Any:
    """The ``int`` of ``int | None``."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    return next(part for part in typing.get_args(hint) if part is not type(None))


class _Values(click.ParamType):  # type: ignore[type-arg]
    """One value, or several with commas."""

    def __init__(self, kind: Any) -> None:
        self._base = click.types.convert_type(kind)
        self.name = self._base.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value in the field's type, or a ``Several`` of such values."""
        if isinstance(value, str):
            value = Several(self._base.convert(item.strip(), param, ctx) for item in value.split(","))
        if not isinstance(value, Several):
            return self._base.convert(value, param, ctx)
        return value if len(value) > 1 else value[0]


_WANTED = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _from_file(name: str, kind: Any, value: Any) -> Any:
    if typing.get_origin(kind) is tuple:
        return _tuple_from_file(name, typing.get_args(kind)[0], value)
    if name not in LISTED:
        return _as_it_stands(name, kind, value)
    items = value if isinstance(value, list) else [value]
    if not items:
        raise DraftwiseError(f"{name} must have at least one value, not []")
    return Several(_as_it_stands(name, kind, item) for item in items)


def _tuple_from_file(name: str, part: Any, value: Any) -> Any:
    """Names are handed on as the text with commas that the command line would have."""
    if isinstance(value, list):
        items = [_as_it_stands(name, part, item) for item in value]
        return ",".join(items) if part is str else items
    return _as_it_stands(name, part, value) if part is str else [_as_it_stands(name, part, value)]


def _as_it_stands(name: str, kind: Any, value: Any) -> Any:
    """A whole number may stand for a float; otherwise the types must be the same."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        several = " or a list of them" if name in LISTED else ""
        raise DraftwiseError(f"{name} must be {_WANTED[kind]}{several}, not {value!r}")
    return value


def _checked(item: Field[Any], names: bool) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Run the field's own check, on each of several values, while the option's name is at hand."""

    def callback(ctx: click.Context, param: click.Parameter, given: Any) -> Any:
        value = _split(given) if names else given
        check = item.metadata.get("check") or (lambda _: None)
        several = value if isinstance(value, Several) else None
        for one in several or (value,):
            wanted = check(one)
            if wanted is not None:
                _refuse(ctx, param, f"must be {wanted}, not {_quoted(given if names else one)}")
        if several is not None and len(set(several)) < len(several):
            _refuse(ctx, param, f"must have different values, not {_quoted(several)}")
        return value

    return callback


def _refuse(ctx: click.Context, param: click.Parameter, message: str) -> None:
    """Name the option, or the file's key where the value stands there."""
    if ctx.get_parameter_source(param.name or "") is ParameterSource.DEFAULT_MAP:
        raise DraftwiseError(f"{ctx.meta.get(FILE_KEY, 'the file')}: {param.name} {message}")
    raise click.BadParameter(message, ctx, param)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _quoted(value: Any) -> str:
    return repr(",".join(map(str, value)) if isinstance(value, tuple) else value)
