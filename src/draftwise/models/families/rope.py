"""Rotary positions as config.json writes them: transformers 4's rope_theta and rope_scaling, or 5's rope_parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from draftwise.errors import DraftwiseError, UnsupportedError
from draftwise.models.families.settings import Settings
from draftwise.models.own.positions import Dynamic, Linear, Llama3, LongRope, Rotary, Scaling, Yarn


class Lengths(NamedTuple):
    """Contexts in tokens, and the turned width of a head."""

    context: int  # max_position_embeddings
    trained: int  # before any stretching
    width: int


def read_rotary(
    settings: Settings, head_dim: int, *, theta_key: str = "rope_theta", fraction_key: str | None = None
) -> Rotary:
    """The positions of a model that turns all its layers alike.

    Args:
        settings: config.json.
        head_dim: the width of a head.
        theta_key: where transformers 4 keeps the base.
        fraction_key: where it keeps the share of a head that is turned; None where a family turns whole heads.

    Raises:
        DraftwiseError: a value is missing or of no use.
        UnsupportedError: a way of scaling that we lack.
    """
    section = settings.section("rope_scaling")
    if section.empty:
        section = settings.section("rope_parameters")
    theta = section.number("rope_theta") if section.has("rope_theta") else settings.number(theta_key)
    fraction = 1.0
    if fraction_key is not None:
        inner = section.has("partial_rotary_factor")
        fraction = section.number("partial_rotary_factor") if inner else settings.number(fraction_key)
    return rotary_of(settings, section, int(head_dim * fraction), theta)


def rotary_of(settings: Settings, section: Settings, width: int, theta: float) -> Rotary:
    """The positions that one object of rotary settings describes."""
    if width < 2 or width % 2:
        raise UnsupportedError(f"config.json: our own forward pass turns an even part of a head, not {width}")
    if theta <= 1:
        raise DraftwiseError(f"config.json: the base of rotary positions must be above 1, not {theta}")
    kind = next((section.name(key) for key in ("rope_type", "type") if section.has(key)), "default")
    if kind in ("su", "yarn") and section.has("short_factor"):
        kind = "longrope"  # as the first Phi-3 configs call it
    if kind not in _SCALINGS:
        raise UnsupportedError(f"config.json: no own rope_type {kind!r}; there are: {', '.join(_SCALINGS)}")
    return Rotary(width, theta, _SCALINGS[kind](section, _lengths(settings, section, width)))


def _lengths(settings: Settings, section: Settings, width: int) -> Lengths:
    key, context = "original_max_position_embeddings", settings.size("max_position_embeddings")
    place = next((place for place in (settings, section) if place.has(key)), None)
    return Lengths(context, context if place is None else place.size(key), width)


def _dynamic(section: Settings, lengths: Lengths) -> Scaling:
    if lengths.width < 4:
        raise DraftwiseError(f"config.json: dynamic rope needs a turned width of at least 4, not {lengths.width}")
    return Dynamic(factor=section.number("factor"), length=lengths.context)


def _llama3(section: Settings, lengths: Lengths) -> Scaling:
    low, high = section.number("low_freq_factor"), section.number("high_freq_factor")
    if low >= high:
        raise DraftwiseError(f"config.json: low_freq_factor {low} must be below high_freq_factor {high}")
    return Llama3(factor=section.number("factor"), low=low, high=high, length=lengths.trained)


def _yarn(section: Settings, lengths: Lengths) -> Scaling:
    factor = section.number("factor") if section.has("factor") else lengths.context / lengths.trained
    scales = [section.optional_number(key) for key in ("attention_factor", "mscale", "mscale_all_dim")]
    return Yarn(
        attention_factor=_yarn_attention_factor(factor, *scales),
        factor=factor,
        length=lengths.trained,
        fast=section.optional_number("beta_fast") or 32.0,
        slow=section.optional_number("beta_slow") or 1.0,
        truncate=section.flag("truncate") if section.has("truncate") else True,
    )


def _yarn_attention_factor(factor: float, given: float | None, scale: float | None, scale_all: float | None) -> float:
    def growth(scale: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1.0

    if given is not None:
        return given
    return growth(scale) / growth(scale_all) if scale and scale_all else growth(1.0)


def _longrope(section: Settings, lengths: Lengths) -> Scaling:
    if lengths.trained < 2:
        raise DraftwiseError("config.json: original_max_position_embeddings must be at least 2, not 1")
    factor = section.number("factor") if section.has("factor") else lengths.context / lengths.trained
    stretch = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(lengths.trained))
    given = section.optional_number("attention_factor")
    factors = section.numbers("short_factor", lengths.width // 2)
    return LongRope(attention_factor=given or stretch, factors=factors, length=lengths.trained)


_SCALINGS: dict[str, Callable[[Settings, Lengths], Scaling]] = {
    "default": lambda section, lengths: Scaling(),
    "linear": lambda section, lengths: Linear(factor=section.number("factor")),
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}
