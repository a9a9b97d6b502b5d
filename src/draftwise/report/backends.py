"""What ran a model's passes, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def backend_words(model: Mapping[str, Any]) -> str:
    """A model's backend from its facts in the record: name, instructions, exactness, and what was passed over.

    Empty where the record is older than backends.
    """
    if not model.get("backend"):
        return ""
    used = f" ({model['instructions']})" if model.get("instructions") else ""
    passed_over = model.get("passed_over") or ()
    others = f"; passed over {'; '.join(passed_over)}" if passed_over else ""
    return f"{model['backend']}{used}, {'exact' if model.get('exact') else 'not exact'}{others}"


def backends_words(models: Mapping[str, Any]) -> str:
    """Those of target and drafts: one text where all are alike."""
    parts = {"target": models.get("target") or {}} | {
        f"draft {draft.get('name')}": draft for draft in models.get("drafts") or ()
    }
    words = {who: said for who, model in parts.items() if (said := backend_words(model))}
    if len(set(words.values())) <= 1:
        return next(iter(words.values()), "")
    return " | ".join(f"{who}: {said}" for who, said in words.items())
