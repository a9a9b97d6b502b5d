"""The table of methods: a method is a row, one drafter and one verifier over the one loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from draftwise.decoding.types import Drafter, Verifier
from draftwise.drafters.none import NoDrafter
from draftwise.drafters.small_model import SmallModelDrafter
from draftwise.errors import DraftwiseError, unknown_name
from draftwise.models.protocol import CausalLM
from draftwise.options import DecodingOptions
from draftwise.verifiers.rejection import RejectionVerifier
from draftwise.verifiers.rollback import RollbackVerifier


@dataclass(frozen=True, slots=True)
class Method:
    """How a method drafts and judges, and what may be said of its output.

    ``options`` are the fields of ``DecodingOptions`` that it reads beside those of every method. ``drafter`` is made
    from the draft model and the ids that end a text, [E].
    """

    name: str
    title: str
    lossless: bool
    needs_draft: bool
    options: tuple[str, ...]
    paper: str
    drafter: Callable[[CausalLM, DecodingOptions, Tensor], Drafter]
    verifier: Callable[[DecodingOptions], Verifier]


PLAIN = Method(
    name="as",
    title="AS",
    lossless=True,
    needs_draft=False,
    options=(),
    paper="plain autoregressive sampling, the baseline",
    drafter=lambda model, options, stops: NoDrafter(),
    verifier=lambda options: RejectionVerifier(),
)

METHODS: dict[str, Method] = {
    "as": PLAIN,
    "as*": replace(PLAIN, name="as*", title="AS*", paper="plain decoding once more: the noise floor of a comparison"),
    "sps": Method(
        name="sps",
        title="SPS",
        lossless=True,
        needs_draft=True,
        options=("gamma",),
        paper="Leviathan et al. 2023 (arXiv:2211.17192), Chen et al. 2023 (arXiv:2302.01318)",
        drafter=lambda model, options, stops: SmallModelDrafter(model, options.gamma, stops),
        verifier=lambda options: RejectionVerifier(),
    ),
    "bild": Method(
        name="bild",
        title="BiLD",
        lossless=False,
        needs_draft=True,
        options=("fallback_threshold", "rollback_threshold", "max_draft_tokens"),
        paper="Kim et al. 2023 (arXiv:2302.07863)",
        drafter=lambda model, options, stops: SmallModelDrafter(
            model, options.max_draft_tokens, stops, options.fallback_threshold
        ),
        verifier=lambda options: RollbackVerifier(options.rollback_threshold),
    ),
}


def find_method(name: object) -> Method:
    """The table's row of that name.

    Raises:
        DraftwiseError: listing the known names.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]


def make_drafter(method: Method, draft: CausalLM | None, options: DecodingOptions, stops: Tensor) -> Drafter:
    """A drafter for one generation.

    Raises:
        DraftwiseError: the method needs a draft model and there is none.
    """
    if not method.needs_draft:
        return NoDrafter()
    if draft is None:
        raise DraftwiseError(
            f"method {method.name!r} needs a draft model and none is loaded; give one, or use method 'as'"
        )
    return method.drafter(draft, options, stops)
