"""Our own forward pass: one transformer, told by an ``Architecture`` which switches a family of models sets."""

from draftwise.models.own.architecture import Architecture, LayerKind
from draftwise.models.own.transformer import Transformer
from draftwise.models.own.weights import Layer, Matrix, Norm, Weights

__all__ = ["Architecture", "Layer", "LayerKind", "Matrix", "Norm", "Transformer", "Weights"]
