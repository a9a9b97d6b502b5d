"""The models of a run: which are opened, how long their caches must be, and what the record says of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes import FakeEngine, models

from draftwise.bench import BenchSettings
from draftwise.bench.cells import make_cells
from draftwise.bench.files import to_json
from draftwise.bench.models import find_models, longest_context, needed_drafts
from draftwise.bench.settings import Axis
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions
from draftwise.pairs import Pairing
from draftwise.tasks import Prompt

PROMPTS = (Prompt("a", "qa", ("12345",)), Prompt("b", "multi-turn", ("123", "1234")))
TWO_DRAFTS = BenchSettings(draft="a", methods=("as", "sps"), sweep=(Axis("draft", ("a", "b")),))


class Template:
    """Writes a role and a colon before each message."""

    def render(self, said: Any) -> str:
        return "".join(f"{item['role']}:{item['content']}" for item in said)


def pairing(template: Template | None = None, **config: int) -> Pairing:
    tokenizer = SimpleNamespace(encode=lambda text, special_tokens=True: list(text) + ["</s>"] * special_tokens)
    return cast(
        Pairing, SimpleNamespace(tokenizer=tokenizer, chat_template=template, target=SimpleNamespace(config=config))
    )


def context(pair: Pairing, new: int) -> int:
    return longest_context(pair, BenchSettings(decoding=DecodingOptions(max_new_tokens=new)), PROMPTS)


def test_the_longest_conversation_counts_with_all_its_answers() -> None:
    assert context(pairing(), 1) == (3 + 1) + (4 + 1) + 2 * 1
    assert context(pairing(), 100) == 3 + 4 + 2 + 200


def test_a_chat_templates_own_words_count_and_no_special_tokens_are_added() -> None:
    assert context(pairing(Template()), 1) == 2 * len("user:") + 3 + 4 + 2


@pytest.mark.parametrize("key", ["max_position_embeddings", "n_positions"])
def test_no_context_is_longer_than_the_targets(key: str) -> None:
    assert context(pairing(**{key: 50}), 100) == 50


def test_a_target_without_a_tokenizer_is_refused() -> None:
    bare = cast(Pairing, SimpleNamespace(tokenizer=None, chat_template=None))
    with pytest.raises(DraftwiseError, match="'builtin' has no tokenizer"):
        longest_context(bare, BenchSettings(), PROMPTS)


def test_only_drafts_that_a_cell_uses_are_opened() -> None:
    assert needed_drafts(BenchSettings()) == ["builtin"]
    assert needed_drafts(BenchSettings(methods=("as",))) == []
    assert needed_drafts(TWO_DRAFTS) == ["a", "b"]


def test_each_cell_gets_the_engine_of_its_draft() -> None:
    first, second = FakeEngine(), FakeEngine()
    found = models(None, a=first, b=second)
    plain, small, large = make_cells(TWO_DRAFTS)
    assert found.engine(plain) is found.engine(small) is found.first is cast(Any, first)
    assert found.engine(large) is cast(Any, second)


def test_the_built_in_pair_is_found_weighed_and_described() -> None:
    found = find_models(BenchSettings(), PROMPTS)
    assert found.drafts == ("builtin",) and found.context > 60
    loaded = found.load()
    to_json(loaded.facts)
    assert loaded.facts["memory"] == found.memory != ""
    target, (draft,) = loaded.facts["models"]["target"], loaded.facts["models"]["drafts"]
    assert (target["name"], target["implementation"], target["dtype"], target["device"]) == (
        "builtin",
        "own",
        "float32",
        "cpu",
    )
    ran = loaded.first.target.backend
    assert (target["backend"], target["exact"], target["instructions"]) == (ran.name, ran.exact, ran.instructions)
    assert target["passed_over"] == list(ran.passed_over)
    assert target["context"] >= 1024 and draft["name"] == "builtin" and draft["directory"] != target["directory"]
    for hashes in (loaded.facts["sha256"]["target"], loaded.facts["sha256"]["drafts"]["builtin"]):
        assert {"config.json", "tokenizer.json"} < hashes.keys()


def test_plain_decoding_alone_loads_no_draft() -> None:
    loaded = find_models(BenchSettings(methods=("as",)), PROMPTS).load()
    assert list(loaded.engines) == [None] and loaded.first.draft is None
    assert loaded.facts["models"]["drafts"] == [] and loaded.facts["sha256"]["drafts"] == {}


def test_too_little_memory_is_refused_before_a_weight_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_little(self: Pairing, context: int, batch: int = 1, chunk: int = 512) -> str:
        raise DraftwiseError(f"{context} positions in chunks of {chunk} don't fit")

    monkeypatch.setattr(Pairing, "check_memory", too_little)
    with pytest.raises(DraftwiseError, match="positions in chunks of 64 don't fit"):
        find_models(BenchSettings(decoding=DecodingOptions(prefill_chunk=64)), PROMPTS)


def test_memory_that_is_gone_by_the_time_of_loading_is_refused_then(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_models(BenchSettings(), PROMPTS)

    def gone(self: Pairing, context: int, batch: int = 1, chunk: int = 512) -> str:
        raise DraftwiseError("somebody took it")

    monkeypatch.setattr(Pairing, "check_memory", gone)
    with pytest.raises(DraftwiseError, match="somebody took it"):
        found.load()
