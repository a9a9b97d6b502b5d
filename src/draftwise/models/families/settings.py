"""The values of config.json, each checked for what it should be when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from draftwise.errors import DraftwiseError, UnsupportedError
from draftwise.models.own.functions import ACTIVATIONS


class Settings:
    """An object in config.json over the values that transformers takes where a key is absent."""

    def __init__(self, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None, path: str = "") -> None:
        """Lay ``values`` over ``defaults``; ``path`` goes before a key where an error names it."""
        self._values = {**(defaults or {}), **values}
        self._path = path

    @property
    def empty(self) -> bool:
        """Whether there is no key at all."""
        return not self._values

    def has(self, key: str) -> bool:
        """Whether there is a value, given or by default, that isn't null."""
        return self._values.get(key) is not None

    def size(self, key: str, least: int = 1, most: int = 10**18) -> int:
        """A whole number.

        Raises:
            DraftwiseError: it is absent, or anything else; so in every method here.
        """
        wanted = f"a whole number of at least {least}"
        value: int = self._checked(key, wanted, lambda value: type(value) is int and value >= least)
        if value > most:
            raise DraftwiseError(f"config.json: {self._path}{key} must be at most {most}, not {value}")
        return value

    def depth(self, key: str) -> int:
        """A number of layers."""
        return self.size(key, most=10_000)

    def optional_size(self, key: str) -> int | None:
        """A whole number of at least 1; None for null or nothing."""
        return self.size(key) if self.has(key) else None

    def number(self, key: str) -> float:
        """A number above 0."""
        return float(self._checked(key, "a number above 0", _is_positive))

    def optional_number(self, key: str) -> float | None:
        """A number above 0; None for null or nothing."""
        return self.number(key) if self.has(key) else None

    def flag(self, key: str) -> bool:
        """True or false."""
        value: bool = self._checked(key, "true or false", lambda value: isinstance(value, bool))
        return value

    def name(self, key: str) -> str:
        """A text."""
        value: str = self._checked(key, "a name", lambda value: isinstance(value, str))
        return value

    def activation(self, key: str) -> str:
        """The name of an activation.

        Raises:
            UnsupportedError: it isn't one of ours.
        """
        name = self.name(key)
        if name not in ACTIVATIONS:
            raise UnsupportedError(f"config.json: no own {key} {name!r}; there are: {', '.join(ACTIVATIONS)}")
        return name

    def names(self, key: str, count: int) -> list[str]:
        """A list of ``count`` texts."""
        value: list[str] = self._checked(key, f"a list of {count} names", _is_list_of(count, lambda v: type(v) is str))
        return value

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """A list of ``count`` numbers above 0."""
        wanted = f"a list of {count} numbers above 0"
        return tuple(float(value) for value in self._checked(key, wanted, _is_list_of(count, _is_positive)))

    def section(self, key: str, defaults: Mapping[str, Any] | None = None) -> Settings:
        """The object under a key, over ``defaults``; an empty one where it is null or absent."""
        value = self._checked(key, "an object", lambda value: isinstance(value, Mapping)) if self.has(key) else {}
        return Settings(value, defaults, f"{self._path}{key}.")

    def quotient(self, key: str, divisor: str) -> int:
        """One size by another that divides it."""
        whole, part = self.size(key), self.size(divisor)
        if whole % part:
            raise DraftwiseError(
                f"config.json: {self._path}{key} {whole} must be a multiple of {self._path}{divisor} {part}"
            )
        return whole // part

    def refuse(self, key: str) -> None:
        """Raise an UnsupportedError where a switch that we lack is set."""
        if self._values.get(key):
            raise UnsupportedError(f"config.json: our own forward pass has no {self._path}{key}")

    def _checked(self, key: str, wanted: str, fits: Callable[[Any], bool]) -> Any:
        if key not in self._values:
            raise DraftwiseError(f"config.json lacks {self._path}{key}; give a complete config.json")
        value = self._values[key]
        if not fits(value):
            raise DraftwiseError(f"config.json: {self._path}{key} must be {wanted}, not {value!r}")
        return value


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e30


def _is_list_of(count: int, fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) == count and all(map(fits, value))
