"""From transformers to OpenVINO: traced with its cache as inputs and outputs, which become states of the model.

That is what ``optimum-cli export openvino`` makes of a decoder; optimum-intel itself refuses the transformers that the
others run with, so OpenVINO's own ``convert_model`` does it here.
"""

from __future__ import annotations

import hashlib
import shutil
import warnings
from pathlib import Path
from typing import Any

import nncf
import openvino as ov
import torch
from openvino import opset13 as ops
from openvino._offline_transformations import apply_make_stateful_transformation
from openvino_tokenizers import convert_tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.cache_utils import DynamicLayer

from benchmarks.peers.cases import Case

INPUTS = ("input_ids", "attention_mask", "position_ids")


def exported(directory: str, case: Case) -> Path:
    """A model's OpenVINO form, made where it isn't there yet; matrices in float32, or int8 for int8."""
    weights = "int8" if case.dtype == "int8" else "float32"
    key = hashlib.sha256((Path(directory) / "model.safetensors").read_bytes()).hexdigest()[:12]
    place = Path(case.store) / f"openvino-{weights}-{key}"
    if not place.exists():
        partial = place.with_name(f"{place.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _export(directory, partial, weights)
        partial.rename(place)
    return place


def _export(directory: str, place: Path, weights: str) -> None:
    model = convert(AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval())
    if weights == "int8":
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    ov.save_model(model, place / "openvino_model.xml", compress_to_fp16=False)
    shutil.copy(Path(directory) / "config.json", place)
    tokenizer, detokenizer = convert_tokenizer(AutoTokenizer.from_pretrained(directory), with_detokenizer=True)
    ov.save_model(tokenizer, place / "openvino_tokenizer.xml")
    ov.save_model(detokenizer, place / "openvino_detokenizer.xml")


class _Flat(torch.nn.Module):
    """A causal model whose cache goes in and out as plain tensors."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        """Logits, then keys and values of each layer; ``past`` are those before, [B, heads, S, head size] each.

        The names matter: OpenVINO GenAI finds a model's inputs by them.
        """
        cache = DynamicCache()
        for keys, values in zip(past[::2], past[1::2], strict=True):
            layer = DynamicLayer()
            layer.keys, layer.values, layer.is_initialized = keys, values, True
            layer.dtype, layer.device = keys.dtype, keys.device
            cache.layers.append(layer)
        mask = _mask(input_ids.shape[1], attention_mask)
        out = self.model(input_ids=input_ids, attention_mask=mask, position_ids=position_ids, past_key_values=cache)
        return (out.logits, *(state for layer in cache.layers for state in (layer.keys, layer.values)))


def _mask(new: int, attention_mask: Tensor) -> Tensor:
    """What is added to the scores of the last ``new`` tokens: [B, 1, new, S]."""
    size = attention_mask.shape[1]
    causal = torch.ones(size, size, dtype=torch.bool).tril()[size - new :][None, None]
    seen = causal & attention_mask.bool()[:, None, None]
    return torch.zeros((), dtype=torch.float32).masked_fill(~seen, torch.finfo(torch.float32).min)


def convert(model: Any) -> Any:
    """A model with states for its cache, and ``beam_idx``, which the runtime expects."""
    config = model.config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    width = config.hidden_size // heads
    names = [f"{layer}.{part}" for layer in range(layers) for part in ("key", "value")]
    past = [torch.zeros(2, heads, 3, width) for _ in names]
    ids = torch.ones(2, 2, dtype=torch.int64)
    example = (ids, torch.ones(2, 5, dtype=torch.int64), torch.tensor([[3, 4], [3, 4]]), *past)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        converted = ov.convert_model(_Flat(model), example_input=example)
    befores, afters = [f"past_key_values.{name}" for name in names], [f"present.{name}" for name in names]
    for port, name in zip(converted.inputs, (*INPUTS, *befores), strict=True):
        port.get_tensor().set_names({name})
        shape = [-1, -1] if name in INPUTS else [-1, heads, -1, width]
        port.get_node().set_partial_shape(ov.PartialShape(shape))
    for port, name in zip(converted.outputs, ("logits", *afters), strict=True):
        port.get_tensor().set_names({name})
    converted.validate_nodes_and_infer_types()
    _make_stateful(converted, dict(zip(befores, afters, strict=True)), heads, width)
    return converted


def _make_stateful(model: Any, states: dict[str, str], heads: int, width: int) -> None:
    """Turn the cache's inputs and outputs into states that begin empty and are gathered by ``beam_idx``."""
    beam = ops.parameter(ov.PartialShape([-1]), ov.Type.i32, "beam_idx")
    beam.output(0).get_tensor().set_names({"beam_idx"})
    model.add_parameters([beam])
    zero = ops.constant(0, ov.Type.i64)
    for name in states:
        port = model.input(name)
        readers = port.get_target_inputs()
        gathered = ops.gather(port.get_node(), beam, zero)
        for reader in readers:
            reader.replace_source_output(gathered.output(0))
    model.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(model, states)
    batch = ops.gather(ops.shape_of(model.input("input_ids")), ops.constant([0], ov.Type.i64), zero)
    shape = ops.concat([batch, *(ops.constant([size], ov.Type.i64) for size in (heads, 0, width))], 0)
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            node.set_arguments([ops.broadcast(ops.constant(0.0, ov.Type.f32), shape)])
    model.validate_nodes_and_infer_types()
