"""What the native library is given, field by field as ``source/`` has it: ``model.h``, ``forward.h``, ``round.h``."""

from __future__ import annotations

import ctypes

Pointer, Whole, Real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double


class NormStructure(ctypes.Structure):
    """A norm's scale and shift in float32, or null."""

    _fields_ = [("weight", Pointer), ("bias", Pointer)]


class MatrixStructure(ctypes.Structure):
    """A packed matrix."""

    _fields_ = [("weight", Pointer), ("bias", Pointer), ("scale", Pointer), ("outputs", Whole), ("inputs", Whole)]


class LayerStructure(ctypes.Structure):
    """A block."""

    _fields_ = [
        ("attention_norm", NormStructure),
        ("feed_forward_norm", NormStructure),
        ("query_key_norm", NormStructure),
        ("attention_end_norm", NormStructure),
        ("feed_forward_end_norm", NormStructure),
        ("qkv", MatrixStructure),
        ("out", MatrixStructure),
        ("up", MatrixStructure),
        ("down", MatrixStructure),
        ("turns", Pointer),
        ("turn_width", Whole),
        ("window", Whole),
        ("scale", Real),
    ]


class ModelStructure(ctypes.Structure):
    """A model."""

    _fields_ = [
        *((name, Whole) for name in ("kind", "vocabulary", "hidden", "embedding", "heads", "shared_heads", "head_dim")),
        *((name, Whole) for name in ("feed_forward", "positions", "depth", "norm", "residual", "activation", "gated")),
        *((name, Whole) for name in ("query_key_norm", "final_norm")),
        *((name, Real) for name in ("norm_eps", "embedding_scale", "attention_cap", "logit_cap")),
        ("token_table", Pointer),
        ("position_table", Pointer),
        ("turn_positions", Whole),
        ("last_norm", NormStructure),
        ("project_in", MatrixStructure),
        ("project_out", MatrixStructure),
        ("head", MatrixStructure),
        ("layers", ctypes.POINTER(LayerStructure)),
    ]


class RequestStructure(ctypes.Structure):
    """A pass."""

    _fields_ = [
        ("tokens", Pointer),
        ("starts", Pointer),
        *((name, Whole) for name in ("batch", "steps", "keep")),
        ("cache", Pointer),
        ("capacity", Whole),
        ("logits", Pointer),
    ]


class SideStructure(ctypes.Structure):
    """A model with its cache, and which ids it may write."""

    _fields_ = [
        *((name, Pointer) for name in ("model", "workspace", "cache")),
        *((name, Whole) for name in ("capacity", "threads", "vocabulary")),
        ("absent", Pointer),
        *((name, Whole) for name in ("absents", "reach")),
    ]


class PolicyStructure(ctypes.Structure):
    """How a round drafts and judges."""

    _fields_ = [("most", Whole), ("fallback", Real), ("rollback", Real)]


class LinesStructure(ctypes.Structure):
    """The rows that are decoded."""

    _fields_ = [
        *((name, Pointer) for name in ("ids", "lengths", "left", "stops")),
        *((name, Whole) for name in ("batch", "places", "stop_count", "fresh")),
    ]


class OutcomeStructure(ctypes.Structure):
    """What a round did."""

    _fields_ = [
        *((name, Pointer) for name in ("columns", "guesses")),
        *((name, Whole) for name in ("passes", "draft_ns", "verify_ns", "judge_ns", "numbers")),
    ]
