"""A target and the drafts to try with it: found, compared and weighed before any weight is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from draftwise.builtin import BUILTIN, draft_directory, target_directory
from draftwise.builtin.on_demand import is_grown, open_grown
from draftwise.errors import DraftwiseError
from draftwise.models.chat import ChatTemplate, load_chat_template
from draftwise.models.loading import ModelSpec, OpenModel, open_model
from draftwise.models.memory import check_memory
from draftwise.models.tokenizer import Tokenizer, has_tokenizer, load_tokenizer, vocabulary_differences


@dataclass(frozen=True, slots=True)
class Pairing:
    """A target and its drafts, opened but not in memory, and the tokenizer that they share."""

    target: OpenModel
    drafts: tuple[OpenModel, ...]
    tokenizer: Tokenizer | None
    chat_template: ChatTemplate | None

    @classmethod
    def open(cls, target: ModelSpec, drafts: Sequence[ModelSpec] = (), chat_template: str = "auto") -> Pairing:
        """Find the models, fetch what is missing, and hold their vocabularies against each other.

        Vocabularies are compared by content: two of one size and different meaning would write wrong text in silence.

        Args:
            target: its name may be "builtin" or one of those in ``builtin.on_demand``, which stand for the built-in
                target or what is grown from it; as a draft's may, for the built-in draft.
            drafts: any number of them.
            chat_template: "auto" for the tokenizer's own, "none", or the path of a Jinja file.

        Raises:
            DraftwiseError: a model that can't be used, or a draft with another vocabulary than the target's.
        """
        opened = _opened(target, target_directory())
        others = tuple(_opened(draft, draft_directory()) for draft in drafts)
        tokenizer = load_tokenizer(opened.directory) if has_tokenizer(opened.directory) else None
        for other in others:
            _check_vocabularies(opened, other, tokenizer)
        return cls(opened, others, tokenizer, load_chat_template(chat_template, opened.directory))

    def check_memory(self, context: int, batch: int = 1, chunk: int = 512) -> str:
        """What the models will take for ``batch`` rows of ``context`` tokens, in one line.

        The drafts count all together, since all are in memory at once.

        Raises:
            DraftwiseError: a device lacks room for it; the line has the figures.
        """
        models = [("target", self.target), *(("draft", draft) for draft in self.drafts)]
        return check_memory([model.memory(role, batch=batch, context=context, chunk=chunk) for role, model in models])


def _opened(spec: ModelSpec, shipped: Path) -> OpenModel:
    """Open a model, which may be the one that ships for this role, or be grown from it."""
    if is_grown(spec.name):
        return open_grown(spec, shipped)
    if spec.name != BUILTIN:
        return open_model(spec)
    if spec.revision is not None:
        raise DraftwiseError(f"the built-in pair has no revision {spec.revision!r}; leave the revision out")
    return open_model(replace(spec, name=str(shipped)))


def _check_vocabularies(target: OpenModel, draft: OpenModel, tokenizer: Tokenizer | None) -> None:
    if draft.directory == target.directory:
        return
    names = [repr(str(model.spec.name)) for model in (target, draft)]
    if has_tokenizer(draft.directory) != (tokenizer is not None):
        raise DraftwiseError(
            f"only {names[tokenizer is None]} of the two models has a tokenizer, so their vocabularies can't "
            "be compared; put the other's tokenizer.json beside its weights"
        )
    if tokenizer is None:
        return
    differences = vocabulary_differences(tokenizer.vocabulary(), load_tokenizer(draft.directory).vocabulary())
    if differences:
        raise DraftwiseError(
            f"the vocabularies of {names[0]} and {names[1]} differ ({'; '.join(differences)}); "
            "use a draft that shares the target's tokenizer"
        )
