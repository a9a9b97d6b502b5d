"""Turns a settings dataclass into click options, so that a setting is declared once, where it is used.

A field made with ``draftwise.options.option`` becomes ``--field-name`` with its default, its help and its check. Its
type decides the form: a bool is a flag, a tuple of whole numbers an option that may be repeated, a tuple of strings a
list with commas, everything else a value.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Container, Mapping
from dataclasses import Field, fields
from typing import Any, TypeVar

import click

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "stop_token_ids": ("--stop-id",),
    "draft": ("--draft", "--approx"),
}
"""The fields whose option isn't spelled as the field is."""

METAVARS: Mapping[str, str] = {
    "target": "builtin|DIR",
    "draft": "builtin|DIR",
    "methods": "NAMES",
    "subtasks": "NAMES",
    "suite": "NAME",
    "dtype": "NAME",
    "device": "NAME",
    "output": "DIR",
    "stop_token_ids": "ID",
}


def settings_options(kind: type[Any], *, only: Container[str] | None = None) -> Callable[[Command], Command]:
    """Give a command one option for each field of ``kind`` that was made with ``option``, or for some of them."""
    hints = typing.get_type_hints(kind)
    known = [item for item in fields(kind) if "help" in item.metadata and (only is None or item.name in only)]

    def decorate(command: Command) -> Command:
        for item in reversed(known):
            command = _click_option(item, hints[item.name])(command)
        return command

    return decorate


def build(kind: type[T], values: Mapping[str, Any], **more: Any) -> T:
    """Make the settings from a command's parameters, leaving out those of its other options."""
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names}, **more)


def _click_option(item: Field[Any], hint: Any) -> Callable[[Command], Command]:
    spelling = SPELLINGS.get(item.name, ("--" + item.name.replace("_", "-"),))
    kind = _without_none(hint)
    part = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    default: Any = ",".join(item.default) if part is str else item.default  # type: ignore[arg-type]
    return click.option(
        *spelling,
        item.name,
        type=str if part is str else part or kind,
        is_flag=kind is bool,
        multiple=part is int,
        default=default,
        show_default=kind is not bool and default not in (None, "", ()),
        help=item.metadata["help"],
        metavar=METAVARS.get(item.name),
        callback=_checked(item, _split if part is str else None),
    )


def _without_none(hint: Any) -> Any:
    """The ``int`` of ``int | None``."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    return next(part for part in typing.get_args(hint) if part is not type(None))


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _checked(
    item: Field[Any], read: Callable[[Any], Any] | None
) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Run the field's own check while the option's name is at hand."""

    def callback(ctx: click.Context, param: click.Parameter, given: Any) -> Any:
        value = given if read is None else read(given)
        check = item.metadata.get("check")
        wanted = check(value) if check is not None else None
        if wanted is not None:
            raise click.BadParameter(f"must be {wanted}, not {_quoted(given)}", ctx, param)
        return value

    return callback


def _quoted(value: Any) -> str:
    return repr(",".join(map(str, value)) if isinstance(value, tuple) else value)
