"""Every family against transformers, and the promises of the cache in every combination of switches."""

from __future__ import annotations

import pytest
import torch
from tiny_families import CASES, POSITIONS, at, close, directory, ids, own, reference, reference_in, whole

from draftwise.engine import Engine
from draftwise.models.families import FAMILIES
from draftwise.models.loading import load_model

LENGTH = 24  # as far as a prompt read at once and one read token by token are turned alike in transformers ("dynamic")

every_case = pytest.mark.parametrize("name", CASES)


def test_every_family_has_three_shapes() -> None:
    kinds = [case.config for case in CASES.values()]
    assert len({(case.config, own(name).architecture) for name, case in CASES.items()}) == len(CASES)  # type: ignore
    assert len(set(kinds)) == len(FAMILIES)
    assert {kind for kind in kinds if kinds.count(kind) < 3} == {"Gemma3"}, "which has the text form's switches"


@every_case
@torch.no_grad()
def test_logits_equal_those_of_transformers(name: str) -> None:
    model, tokens = own(name), ids(3, LENGTH)
    assert model.implementation == "own" and model.start_token_id is None
    expected = reference(name)(input_ids=tokens).logits
    assert expected.std() > 0.5, "logits too flat to tell a wrong pass from a right one"
    close(whole(model, tokens), expected)
    close(whole(model, tokens[:1]), expected[:1])


@every_case
def test_greedy_tokens_equal_those_of_transformers(name: str) -> None:
    prompt, new = ids(1, 8, seed=3), 64
    settings = {"max_new_tokens": new, "do_sample": False, "eos_token_id": None}
    expected = reference(name).generate(prompt, attention_mask=torch.ones_like(prompt), **settings)[0, 8:].tolist()
    assert len(set(expected)) > 3, "an answer too plain to tell a wrong pass from a right one"
    engine = Engine(own(name))
    answer = engine.generate(prompt[0].tolist(), method="as", temperature=0.0, max_new_tokens=new, ignore_eos=True)
    assert list(answer.tokens) == expected


@pytest.mark.parametrize(
    ("target", "draft"),
    [("gemma2", "gemma3 text"), ("mistral windowed", "llama yarn"), ("gpt-neox in sequence", "phi3 windowed")],
)
def test_a_draft_of_another_family_changes_no_token(target: str, draft: str) -> None:
    engine, prompts = Engine(own(target), own(draft)), [ids(1, length)[0].tolist() for length in (3, 11)]
    plain, drafted = (engine.generate(prompts, method=name, max_new_tokens=40) for name in ("as", "sps"))
    assert [answer.tokens for answer in plain] == [answer.tokens for answer in drafted]
    assert all(answer.acceptance_length is not None for answer in drafted)


@every_case
@pytest.mark.parametrize("batch", [1, 2])
def test_a_prompt_fed_in_pieces_equals_one_pass(name: str, batch: int) -> None:
    model, tokens = own(name), ids(batch, LENGTH)
    expected = whole(model, tokens)
    for width in (1, 7):
        cache, pieces = model.new_cache(batch, POSITIONS), []
        for start in range(0, LENGTH, width):
            piece = tokens[:, start : start + width]
            stop = start + piece.shape[1]
            pieces.append(model.forward(piece, at(*[start] * batch), cache, span=stop, keep=piece.shape[1]))
        close(torch.cat(pieces, dim=1), expected)


@every_case
@pytest.mark.parametrize("batch", [1, 2])
def test_a_rejected_tail_leaves_no_trace_in_the_cache(name: str, batch: int) -> None:
    model, tokens, garbage = own(name), ids(batch, LENGTH), ids(batch, 40, seed=9)
    expected = whole(model, tokens)
    for kept, width in ((1, 1), (9, 4), (19, 5)):
        cache = model.new_cache(batch, POSITIONS)
        model.forward(tokens[:, :kept], at(*[0] * batch), cache, span=kept, keep=0)
        model.forward(garbage, at(*[kept] * batch), cache, span=kept + 40, keep=1)
        with torch.inference_mode():
            cache[:, :, kept + width :] = 1e4
        again = model.forward(tokens[:, kept : kept + width], at(*[kept] * batch), cache, span=POSITIONS, keep=width)
        close(again, expected[:, kept : kept + width])


@every_case
def test_ragged_rows_equal_the_rows_alone(name: str) -> None:
    model, lengths, tokens, step = own(name), (3, 17, 9, 1), ids(4, 17), ids(4, 3, seed=5)
    cache = model.new_cache(4, 40)
    model.forward(tokens, at(0, 0, 0, 0), cache, span=17, keep=0)  # the short rows' tails are garbage
    logits = model.forward(step, at(*lengths), cache, span=20, keep=3)
    for row, length in enumerate(lengths):
        alone = torch.cat([tokens[row : row + 1, :length], step[row : row + 1]], dim=1)
        close(logits[row : row + 1], whole(model, alone)[:, length:])


@every_case
@pytest.mark.parametrize("capacity", [POSITIONS, POSITIONS + 16], ids=["within the context", "beyond the context"])
def test_rows_past_the_end_disturb_nobody(name: str, capacity: int) -> None:
    model, tokens, padding = own(name), ids(2, POSITIONS), ids(2, 5, seed=2)
    cache = model.new_cache(2, capacity)
    expected = whole(model, tokens)[:, -2:]
    model.forward(tokens[:, : POSITIONS - 2], at(0, 0), cache, span=POSITIONS - 2, keep=0)
    over = torch.cat([tokens[:, -2:], padding], dim=1)  # two that count, five past the end of the context
    logits = model.forward(over, at(POSITIONS - 2, POSITIONS - 2), cache, span=min(POSITIONS + 5, capacity), keep=7)
    close(logits[:, :2], expected)
    for starts in (at(500, 500), at(POSITIONS - 1, 70_000)):
        logits = model.forward(padding, starts, cache, span=capacity, keep=5)
        assert logits.isfinite().all(), "what isn't a number would stay in the cache"
    close(model.forward(tokens[:, -1:], at(*[POSITIONS - 1] * 2), cache, span=POSITIONS, keep=1), expected[:, 1:])
    single = model.new_cache(1, capacity)
    model.forward(tokens[:1, :-1], at(0), single, span=POSITIONS - 1, keep=0)
    model.forward(padding[:1], at(POSITIONS - 1), single, span=capacity, keep=5)
    close(model.forward(tokens[:1, -1:], at(POSITIONS - 1), single, span=POSITIONS, keep=1), expected[:1, 1:])


@every_case
@torch.no_grad()
def test_bfloat16_comes_as_close_as_that_of_transformers(name: str) -> None:
    model, tokens = load_model(directory(name), dtype="bfloat16", backend="plain"), ids(2, LENGTH)
    assert model.dtype == torch.bfloat16 and model.new_cache(1, 4).dtype == model.dtype
    exact, theirs = (m(input_ids=tokens).logits.float() for m in (reference(name), reference_in(name, torch.bfloat16)))
    got = whole(model, tokens)
    assert got.dtype == torch.float32
    assert (got - exact).square().mean() < 2 * (theirs - exact).square().mean()


@pytest.mark.gpu
@every_case
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_cuda_device_gives_the_same_logits(name: str, dtype: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    on_cuda = load_model(directory(name), dtype=dtype, device="cuda", backend="plain")
    tokens = ids(3, LENGTH)
    logits = on_cuda.forward(tokens.cuda(), at(0, 0, 0).cuda(), on_cuda.new_cache(3, 64), span=LENGTH, keep=LENGTH)
    expected = whole(load_model(directory(name), dtype=dtype, backend="plain"), tokens)
    close(logits.cpu(), expected, 1e-3 if dtype == "float32" else 0.5)
