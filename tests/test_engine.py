from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_opt import save_tiny_opt

from draftwise import Engine
from draftwise.errors import DraftwiseError
from draftwise.methods import METHODS
from draftwise.options import DecodingOptions
from toys import Toy, cousin, toy

PROMPTS = [[5, 7, 2], [7], [1, 2, 3, 4, 5, 6], [3, 0]]
OPTIONS = {"as": {}, "as*": {}, "sps": {"gamma": 3}, "bild": {"fallback_threshold": 0.4, "rollback_threshold": 2.0}}


def pair(**more: Any) -> Engine:
    target = toy(8, seed=1, **more)
    return Engine(target, cousin(target, 0.7))


@pytest.fixture(scope="module")
def opt(opt_pair: tuple[Path, Path]) -> Engine:
    return Engine.load(opt_pair[0], opt_pair[1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_is_the_same_alone_and_in_a_batch_of_four(method: str, temperature: float, opt: Engine) -> None:
    for engine in (pair(), opt):
        options = {"method": method, "temperature": temperature, "max_new_tokens": 24, **OPTIONS[method]}
        for seeds in ([3, 1, 4, 1], [0, 2**63 - 1, 7, 8]):
            together = engine.generate(PROMPTS, seed=seeds, **options)
            for prompt, seed, answer in zip(PROMPTS, seeds, together, strict=True):
                alone = engine.generate(prompt, seed=seed, **options)
                assert (alone.tokens, alone.rounds) == (answer.tokens, answer.rounds)


@pytest.mark.parametrize("method", METHODS)
def test_a_row_is_the_same_at_any_place_among_any_neighbours(method: str) -> None:
    engine, rng = pair(), np.random.default_rng(0)
    options = {"method": method, "temperature": 1.0, "max_new_tokens": 12, **OPTIONS[method]}
    alone = engine.generate([2, 2], seed=9, **options)
    for _ in range(8):
        others = [rng.integers(0, 8, rng.integers(1, 12)).tolist() for _ in range(5)]
        place = int(rng.integers(0, 6))
        batch = [*others[:place], [2, 2], *others[place:]]
        answer = engine.generate(batch, seed=[9 if row == place else row for row in range(6)], **options)[place]
        assert (answer.tokens, answer.rounds) == (alone.tokens, alone.rounds)


@pytest.mark.parametrize("method", METHODS)
def test_seeds_decide_the_tokens_at_temperature_1_and_not_at_0(method: str) -> None:
    engine = pair()
    for temperature, different in ((1.0, 20), (0.0, 1)):
        answers = engine.generate(
            [[1, 2]] * 20, method=method, seed=list(range(20)), temperature=temperature, max_new_tokens=20
        )
        assert len({answer.tokens for answer in answers}) == different


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_plain_decoding_once_more_gives_the_same_tokens_and_rounds(temperature: float) -> None:
    options = {"seed": [0, 1, 2, 3], "temperature": temperature, "max_new_tokens": 24}
    once, again = (pair().generate(PROMPTS, method=method, **options) for method in ("as", "as*"))
    assert [(one.tokens, one.rounds) for one in once] == [(one.tokens, one.rounds) for one in again]
    assert all(one.acceptance_length == 1.0 and one.acceptance_rate is None for one in again)


@pytest.mark.parametrize("method", METHODS)
def test_one_seed_is_every_rows_seed(method: str) -> None:
    answers = pair().generate([[1, 2]] * 3, method=method, seed=5, temperature=1.0)
    assert answers[0].tokens == answers[1].tokens == answers[2].tokens


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_stream_gives_the_same_tokens_text_and_account(method: str, temperature: float, opt: Engine) -> None:
    for stops in ([], [3], [12, 20]):
        options = {
            "method": method,
            "temperature": temperature,
            "seed": 3,
            "max_new_tokens": 20,
            "stop_token_ids": stops,
        }
        for prompt in ("w5 w9 w2", [7]):
            whole = opt.generate(prompt, **options)
            pieces = list(opt.stream(prompt, **options))
            assert "".join(piece.text for piece in pieces) == whole.text
            assert sum((piece.tokens for piece in pieces), ()) == whole.tokens
            assert tuple(piece.round for piece in pieces) == whole.rounds
            assert [piece.generation is None for piece in pieces] == [True] * (len(pieces) - 1) + [False]
            last = pieces[-1].generation
            assert last is not None
            assert (last.text, last.tokens, last.rounds) == (whole.text, whole.tokens, whole.rounds)
            assert last.finish_reason == whole.finish_reason


def test_a_stream_checks_its_input_before_the_first_piece() -> None:
    with pytest.raises(DraftwiseError, match="empty"):
        pair().stream([])


@pytest.mark.parametrize("method", METHODS)
def test_the_reason_says_what_ended_the_answer(method: str) -> None:
    target = toy(8, seed=1)
    whole = Engine(target, target).generate([1, 2], method=method, max_new_tokens=8).tokens
    first = whole[0]
    for eos, options, reason in [
        ((), {}, "length"),
        ((first,), {}, "eos"),
        ((first,), {"ignore_eos": True}, "length"),
        ((), {"stop_token_ids": [first]}, "stop"),
        ((first,), {"stop_token_ids": [first]}, "eos"),
        ((first,), {"stop_token_ids": [first], "ignore_eos": True}, "stop"),
        ((first,), {"max_new_tokens": 1}, "eos"),
        ((), {"stop_token_ids": [first], "max_new_tokens": 1}, "stop"),
    ]:
        engine = Engine(Toy(target.table, eos), target)
        answer = engine.generate([1, 2], method=method, **{"max_new_tokens": 8, **options})
        assert answer.finish_reason == reason
        assert answer.tokens == (whole if reason == "length" else (first,))


@pytest.mark.parametrize("method", METHODS)
def test_id_0_is_an_ordinary_token_and_may_be_the_end_of_text(method: str) -> None:
    table = torch.zeros(1, 4)
    table[:, 0] = 5.0
    zeros = Toy(table)
    answer = Engine(zeros, zeros).generate([0, 0], method=method, max_new_tokens=6)
    assert (answer.tokens, answer.finish_reason) == ((0,) * 6, "length")
    ending = Toy(table, (0,))
    answer = Engine(ending, ending).generate([0], method=method, max_new_tokens=6)
    assert (answer.tokens, answer.finish_reason) == ((0,), "eos")


@pytest.mark.parametrize("method", METHODS)
def test_a_prompt_may_fill_the_context_to_its_last_place(method: str, opt: Engine) -> None:
    for engine in (pair(), opt):
        for room in (1, 2, 5):
            prompt = [token % 8 for token in range(64 - room)]
            for prompts in ([prompt], [prompt, [1], prompt[:30]]):
                answers = engine.generate(
                    prompts, method=method, max_new_tokens=room, gamma=9, fallback_threshold=0.0, ignore_eos=True
                )
                plain = engine.generate(prompts, method="as", max_new_tokens=room, ignore_eos=True)
                assert [len(answer.tokens) for answer in answers] == [room] * len(prompts)
                if method == "sps":
                    assert [answer.tokens for answer in answers] == [answer.tokens for answer in plain]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_of_64_with_repeated_prompts(method: str, opt: Engine) -> None:
    options = {"method": method, "max_new_tokens": 12, "temperature": 1.0}
    prompts, seeds = PROMPTS * 16, [row // 4 for row in range(64)]
    answers = opt.generate(prompts, seed=seeds, **options)
    for row in (0, 17, 42, 63):
        assert answers[row].tokens == opt.generate(prompts[row], seed=seeds[row], **options).tokens


@given(
    prompts=st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=8), min_size=1, max_size=5),
    method=st.sampled_from(list(METHODS)),
    gamma=st.integers(1, 60),
    max_draft_tokens=st.integers(1, 60),
    fallback_threshold=st.floats(0, 1),
    rollback_threshold=st.floats(0, allow_infinity=True),
    temperature=st.one_of(st.just(0.0), st.floats(0, 1e6), st.floats(0, 1e-30)),
    top_k=st.integers(0, 20),
    top_p=st.floats(1e-40, 1),
    max_new_tokens=st.integers(1, 40),
    stop_token_ids=st.lists(st.integers(0, 7), max_size=3),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=150, deadline=None)
def test_any_legal_settings_give_an_answer_that_a_lone_row_repeats(prompts: list[list[int]], **options: Any) -> None:
    engine = pair(eos_token_ids=(6,))
    for prompt, answer in zip(prompts, engine.generate(prompts, **options), strict=True):
        assert 1 <= len(answer.tokens) <= options["max_new_tokens"]
        assert set(answer.tokens) <= set(range(8))
        alone = engine.generate(prompt, **options)
        assert (alone.tokens, alone.rounds, alone.finish_reason) == (answer.tokens, answer.rounds, answer.finish_reason)


def refusal(engine: Engine, prompt: Any, **options: Any) -> str:
    with pytest.raises(ValueError) as raised:
        engine.generate(prompt, **options)
    assert isinstance(raised.value, DraftwiseError)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("prompt", ["", [], [[]], [[1], []], ["w1", ""]])
def test_an_empty_prompt_is_refused(prompt: Any, opt: Engine) -> None:
    assert "empty" in refusal(opt, prompt)


@pytest.mark.parametrize("token", [48, -1, 10**6, 2**70, -(2**70)])
def test_an_id_outside_the_vocabulary_is_refused_by_its_value(token: int, opt: Engine) -> None:
    for prompt in ([1, token], [[1], [token]]):
        message = refusal(opt, prompt)
        assert str(token) in message
        assert "47" in message


@pytest.mark.parametrize(
    "prompt",
    [
        [1.0], [1, 2.5], [None], [[1], [2.0]], [[1], None], [[1], 3], [3, "w1", None], None, 5, 2.5, object(),
        torch.tensor([1.0, 2.0]), np.ones((40, 3)), b"w1", {1: 2},
    ],
    ids=lambda prompt: f"{type(prompt).__name__} {str(prompt)[:12]!r}",
)  # fmt: skip
def test_a_prompt_that_is_neither_text_nor_whole_numbers_is_refused_in_one_line(prompt: Any, opt: Engine) -> None:
    refusal(opt, prompt)


@pytest.mark.parametrize("prompt", [(5, 9), np.array([5, 9]), torch.tensor([5, 9]), range(5, 10, 4)], ids=repr)
def test_ids_may_come_in_any_sequence_of_whole_numbers(prompt: Any, opt: Engine) -> None:
    assert opt.generate(prompt, method="as").tokens == opt.generate([5, 9], method="as").tokens


def test_the_rows_of_a_matrix_are_prompts(opt: Engine) -> None:
    answers = opt.generate(torch.tensor([[5, 9], [7, 3]]), method="as")
    assert [answer.tokens for answer in answers] == [opt.generate(row, method="as").tokens for row in ([5, 9], [7, 3])]


def test_a_model_that_overflows_is_an_error_and_no_text(opt: Engine) -> None:
    class Overflowing(Toy):
        def forward(self, *args: Any, **options: Any) -> torch.Tensor:
            return super().forward(*args, **options) * torch.nan

    target = Overflowing(toy(8).table)
    for temperature in (0.0, 1.0):
        assert "not numbers" in refusal(Engine(target, toy(8)), [1], temperature=temperature)


def test_a_slow_reader_does_not_slow_the_stream_s_own_clock() -> None:
    pieces = []
    for piece in pair().stream([1, 2], method="as", max_new_tokens=4):
        time.sleep(0.05)
        pieces.append(piece)
    last = pieces[-1].generation
    assert last is not None
    assert last.decode_ns < 0.1e9


def test_a_prompt_longer_than_the_targets_context_is_refused_and_the_drafts_context_does_not_count() -> None:
    target = toy(8, max_positions=64)
    engine = Engine(target, Toy(target.table, max_positions=32))
    assert engine.prompt_limit(DecodingOptions(max_new_tokens=5)) == 59
    for method in METHODS:
        assert "target" in refusal(engine, [1] * 60, max_new_tokens=5, method=method)
        assert "target" in refusal(engine, [[1], [1] * 60], max_new_tokens=5, method=method)
        assert len(engine.generate([1] * 59, max_new_tokens=5, method=method).tokens) == 5


def test_an_unknown_method_or_option_is_refused_with_the_known_ones() -> None:
    for method in ("spss", "", None, 3, "SPS", ["sps"]):
        message = refusal(pair(), [1], method=method)
        assert all(name in message for name in METHODS)
    message = refusal(pair(), [1], gama=3)
    assert "'gama'" in message
    assert "gamma" in message.replace("'gama'", "")


@pytest.mark.parametrize("method", ["sps", "bild"])
def test_a_method_that_drafts_needs_a_draft_model(method: str) -> None:
    engine = Engine(toy(8))
    assert "draft" in refusal(engine, [1], method=method)
    assert len(engine.generate([1], method="as").tokens) == 30


BAD_VALUES = [
    *[("gamma", value) for value in (0, -1, 2.5, None, True, "4")],
    *[("max_draft_tokens", value) for value in (0, 1.5)],
    *[("fallback_threshold", value) for value in (-0.1, 1.1, float("nan"), None, "x")],
    *[("rollback_threshold", value) for value in (-1, float("nan"), None)],
    *[("temperature", value) for value in (-0.1, float("nan"), float("inf"), None)],
    *[("top_k", value) for value in (-1, 1.5)],
    *[("top_p", value) for value in (0, -1, 1.1, float("nan"))],
    *[("max_new_tokens", value) for value in (0, -3, 1.5, None)],
    *[("ignore_eos", value) for value in (1, "no", None)],
    *[("stop_token_ids", value) for value in ([-1], [1.5], ["a"], [None], 5, None, [2**70])],
    *[("seed", value) for value in (-1, 2**63, 1.5, None, "7", [1.5], [None], [-1])],
]


@pytest.mark.parametrize(("name", "value"), BAD_VALUES, ids=[f"{name}={value!r}" for name, value in BAD_VALUES])
def test_a_value_out_of_range_is_refused_by_name_and_value(name: str, value: Any) -> None:
    message = refusal(pair(), [[1]], **{name: value})
    assert name in message


def test_seeds_must_be_as_many_as_prompts() -> None:
    message = refusal(pair(), [[1], [2]], seed=[1, 2, 3])
    assert "3" in message
    assert "2" in message


def test_numpy_numbers_are_refused_or_taken_but_never_a_type_error() -> None:
    for options in ({"seed": np.int64(3)}, {"gamma": np.int64(3)}, {"temperature": np.float32(1)}):
        try:
            pair().generate([1], **options)
        except DraftwiseError as error:
            assert "\n" not in str(error)


def test_two_models_of_different_vocabulary_size_are_refused() -> None:
    with pytest.raises(DraftwiseError, match=r"8.*9"):
        Engine(toy(8), toy(9))


def test_text_without_a_tokenizer_is_refused() -> None:
    assert "tokenizer" in refusal(pair(), "hello")
    assert pair().generate([1], method="as").text == ""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_opt(tmp_path_factory.mktemp("model") / "one", vocab_size=16, hidden=8, ffn=8, layers=1)


def test_vocabularies_of_one_size_and_different_meaning_are_refused(directory: Path, tmp_path: Path) -> None:
    other = shutil.copytree(directory, tmp_path / "other")
    text = (other / "tokenizer.json").read_text("utf-8")
    swapped = text.replace('"w3": 3', '"w3": 4').replace('"w4": 4', '"w4": 3')
    assert swapped != text
    (other / "tokenizer.json").write_text(swapped, "utf-8")
    with pytest.raises(DraftwiseError, match="'w3' is 3 in one") as raised:
        Engine.load(directory, other)
    assert "\n" not in str(raised.value)


def test_vocabularies_that_cannot_be_compared_are_refused(directory: Path, tmp_path: Path) -> None:
    other = shutil.copytree(directory, tmp_path / "other")
    (other / "tokenizer.json").unlink()
    for target, draft in ((directory, other), (other, directory)):
        with pytest.raises(DraftwiseError, match=r"tokenizer\.json"):
            Engine.load(target, draft)
    assert Engine.load(other, other).tokenizer is None


def test_without_a_draft_only_plain_decoding_runs(directory: Path) -> None:
    engine = Engine.load(directory)
    assert engine.draft is None
    assert "draft" in refusal(engine, "w1 w2", method="sps")
    assert engine.generate("w1 w2", method="as", max_new_tokens=3).text


def test_a_text_and_its_ids_give_the_same_answer(opt: Engine) -> None:
    text = "w5 w9 w2"
    assert opt.encode(text) == [5, 9, 2]
    assert opt.generate(text).tokens == opt.generate([5, 9, 2]).tokens
    assert [answer.tokens for answer in opt.generate([text, [7]])] == [
        opt.generate(text).tokens,
        opt.generate([7]).tokens,
    ]


def test_a_list_of_one_prompt_gives_a_list(opt: Engine) -> None:
    assert len(opt.generate(["w5"])) == len(opt.generate([[5]])) == 1


def test_times_add_up() -> None:
    answer = pair().generate([1, 2], max_new_tokens=20)
    assert 0 < answer.prefill_ns < answer.ttft_ns < answer.prefill_ns + answer.decode_ns
