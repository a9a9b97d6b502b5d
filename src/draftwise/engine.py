"""The face: load a target and a draft, put text or ids in, get text, ids and an account of the rounds out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import torch

from draftwise.builtin import BUILTIN
from draftwise.decoding.loop import Commit
from draftwise.decoding.types import Round
from draftwise.errors import DraftwiseError
from draftwise.generation import FinishReason, Generation, Piece
from draftwise.inputs import Prompt, encode_chat, encode_text, read_ids, read_settings, split_prompts
from draftwise.methods import find_method
from draftwise.models.chat import ChatTemplate
from draftwise.models.loading import ModelSpec
from draftwise.models.protocol import CausalLM, is_encoder_decoder
from draftwise.models.tokenizer import Tokenizer
from draftwise.models.vocabulary import limit_vocabulary
from draftwise.options import DecodingOptions
from draftwise.pairs import Pairing
from draftwise.pieces import split_pieces
from draftwise.recording import recordings_for
from draftwise.running import Job, Run, begin
from draftwise.tracing import Trace, Tracer


@dataclass(slots=True)
class _Answer:
    """A row while it is being decoded."""

    tokens: list[int] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)

    def add(self, new: Commit) -> None:
        """Take in what a round added."""
        self.tokens += new.tokens
        self.rounds.append(new.round)


class Engine:
    """A target model, perhaps a draft model, and their tokenizer."""

    def __init__(
        self,
        target: CausalLM,
        draft: CausalLM | None = None,
        tokenizer: Tokenizer | None = None,
        chat_template: ChatTemplate | None = None,
    ) -> None:
        """Use models that are loaded already; without a tokenizer only ids go in and out.

        Ids that the tokenizer has no token for, with which tables are padded, are never emitted.

        Raises:
            DraftwiseError: the two models can't write the same ids, or only one is an encoder-decoder.
        """
        if tokenizer is not None:
            vocabulary = tokenizer.vocabulary()
            target = limit_vocabulary(target, vocabulary)
            draft = limit_vocabulary(draft, vocabulary) if draft is not None else None
        if draft is not None:
            _check_pair(target, draft)
        self.target = target
        self.draft = draft
        self.tokenizer = tokenizer
        self.chat_template = chat_template
        self._recordings = recordings_for(target, draft)

    @classmethod
    def load(
        cls,
        target: str | Path = BUILTIN,
        draft: str | Path | None = None,
        *,
        dtype: str = "float32",
        device: str = "cpu",
        draft_dtype: str | None = None,
        draft_device: str | None = None,
        revision: str | None = None,
        draft_revision: str | None = None,
        implementation: str = "auto",
        draft_implementation: str | None = None,
        backend: str = "auto",
        draft_backend: str | None = None,
        exact: bool = True,
        chat_template: str = "auto",
        context: int = 2048,
    ) -> Engine:
        """Load models from Hugging Face-format directories or the Hub, or the pair that ships with the package.

        Args:
            target: a directory, a Hub id, "builtin" (which brings its own draft unless one is named), or the built-in
                model grown as it is loaded, "grown:facebook/opt-6.7b" say.
            draft: the same, or None: then only method "as" runs.
            dtype: float32, bfloat16, float16 or float64; or int8, which is that of the matrices alone.
            device: "cpu", "cuda" or "cuda:N".
            draft_dtype: the target's where it is None.
            draft_device: the target's where it is None.
            revision: of a Hub id: a branch, tag or commit.
            draft_revision: the draft's own.
            implementation: whose forward pass runs: "own", "transformers", or "auto", which takes our own where it
                knows the model.
            draft_implementation: the target's where it is None.
            backend: what runs our own forward pass: "native", "packed", "triton", "plain", or "auto", which takes the
                fastest that can run here.
            draft_backend: the target's where it is None.
            exact: whether a row's logits may depend on its own tokens alone, to the bit, wherever a backend can do so.
            chat_template: what ``encode_chat`` uses: "auto" for the tokenizer's own, "none", or a Jinja file's path.
            context: tokens of prompt and answer that memory must have room for beside the weights; no limit.

        Raises:
            DraftwiseError: a model that can't be used, vocabularies that differ, an unknown dtype, device,
                implementation or backend, a backend that can't run, or too little memory.
        """
        if draft is None and target == BUILTIN:
            draft = BUILTIN
        large = ModelSpec(str(target), revision, dtype, device, implementation, backend, exact)
        small = large.draft(
            str(draft),
            revision=draft_revision,
            dtype=draft_dtype,
            device=draft_device,
            implementation=draft_implementation,
            backend=draft_backend,
        )
        pairing = Pairing.open(large, [small] if draft is not None else [], chat_template)
        pairing.check_memory(context)
        (engine,) = cls.load_all(pairing)
        return engine

    @classmethod
    def load_all(cls, pairing: Pairing) -> list[Engine]:
        """Load a target once and give an engine for each draft of the pairing, or one without a draft.

        Raises:
            DraftwiseError: weights that don't fit their config, or the machine.
        """
        target = pairing.target.load()
        drafts: list[CausalLM | None] = [draft.load() for draft in pairing.drafts]
        drafts = drafts or [None]
        return [cls(target, draft, pairing.tokenizer, pairing.chat_template) for draft in drafts]

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with what the tokenizer puts in front."""
        return encode_text(self.tokenizer, text)

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The ids of a conversation in the chat template's form, ready for the next answer.

        Args:
            messages: each with a "role" (system, user or assistant) and its "content".

        Raises:
            DraftwiseError: the model has no chat template, or the template can't render the messages.
        """
        return encode_chat(self.tokenizer, self.chat_template, messages)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out; empty where no tokenizer is loaded."""
        return self.tokenizer.decode(ids) if self.tokenizer is not None else ""

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        """The text of each id, as many as ids; joined they are ``decode(ids)``.

        A character that is spread over several tokens belongs to the one that completes it. Special tokens write
        nothing, and nothing does where no tokenizer is loaded.
        """
        return split_pieces(self.decode, ids)

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """Where the models lie, each device once."""
        models = (self.target,) if self.draft is None else (self.target, self.draft)
        return tuple(dict.fromkeys(model.device for model in models))

    def end_ids(self, options: DecodingOptions) -> list[int]:
        """The ids that end a text: the options' own, and the target's end of text unless that is ignored."""
        ends = () if options.ignore_eos else self.target.eos_token_ids
        return list(dict.fromkeys((*options.stop_token_ids, *ends)))

    def prompt_limit(self, options: DecodingOptions) -> int:
        """The most prompt tokens that the target takes, new tokens allowed for; below 1 where they alone are too many.

        A draft with a shorter context doesn't count: speculation pauses where it ends.
        """
        if not is_encoder_decoder(self.target):
            return self.target.max_positions - options.max_new_tokens
        return self.target.max_source_tokens if options.max_new_tokens < self.target.max_positions else 0

    def check_prompt(self, ids: Sequence[int], method: str, options: DecodingOptions) -> None:
        """Check that a prompt can be decoded.

        Raises:
            DraftwiseError: it is empty, it or the stop ids hold one outside the vocabulary, or it is too long for the
                target's context.
        """
        if not ids:
            raise DraftwiseError("the prompt is empty; give at least one token")
        self._check_ids(ids, "token id")
        self._check_ids(options.stop_token_ids, "stop_token_ids: token id")
        find_method(method)
        if len(ids) > self.prompt_limit(options):
            context = self.target.max_source_tokens if is_encoder_decoder(self.target) else self.target.max_positions
            raise DraftwiseError(
                f"the prompt has {len(ids)} tokens, with max_new_tokens {options.max_new_tokens} that is more than "
                f"the target's context of {context}; shorten the prompt or ask for fewer new tokens"
            )

    @overload
    def generate(self, prompt: str, *, method: str = ..., seed: int = ..., **options: Any) -> Generation: ...
    @overload
    def generate(self, prompt: Sequence[int], *, method: str = ..., seed: int = ..., **options: Any) -> Generation: ...
    @overload
    def generate(
        self, prompt: Sequence[Prompt], *, method: str = ..., seed: int | Sequence[int] = ..., **options: Any
    ) -> list[Generation]: ...
    def generate(
        self,
        prompt: Prompt | Sequence[Prompt],
        *,
        method: str = "sps",
        seed: int | Sequence[int] = 0,
        **options: Any,
    ) -> Generation | list[Generation]:
        """Decode one prompt, or a list of prompts as one batch.

        Args:
            prompt: a text or token ids; or a list of those.
            method: a name in ``methods.METHODS``.
            seed: of the random numbers at temperature > 0; one for all rows, or one for each. A row's tokens depend on
                its own seed alone, never on its neighbours.
            **options: fields of ``DecodingOptions``.

        Returns:
            A ``Generation``; for a list of prompts a list of them.

        Raises:
            DraftwiseError: an unknown method or option, a value out of range, or a prompt that can't be decoded.
        """
        prompts, single = split_prompts(prompt)
        settings, seeds = read_settings(options, seed, len(prompts))
        rows = [self._ids(item, method, settings) for item in prompts]
        generations = self._collect(self._start(rows, method, settings, seeds), settings, len(rows))
        return generations[0] if single else generations

    def trace(self, prompt: Prompt, *, method: str = "sps", seed: int = 0, **options: Any) -> Trace:
        """Decode one prompt as ``generate`` does, observed: what each round guessed, and where its time went.

        The devices are waited for within the rounds, so the generation's times are no speeds. Arguments and errors as
        for ``generate``.
        """
        settings, seeds = read_settings(options, seed, 1)
        tracer = Tracer(self.devices)
        run = self._start([self._ids(prompt, method, settings)], method, settings, seeds, tracer)
        (generation,) = self._collect(run, settings, 1)
        return Trace(generation, tuple(tracer.spans))

    def stream(self, prompt: Prompt, *, method: str = "sps", seed: int = 0, **options: Any) -> Iterator[Piece]:
        """Decode one prompt and yield a piece as each round ends; arguments and errors as for ``generate``."""
        settings, seeds = read_settings(options, seed, 1)
        run = self._start([self._ids(prompt, method, settings)], method, settings, seeds)
        return self._pieces(run, settings)

    def _collect(self, run: Run, settings: DecodingOptions, count: int) -> list[Generation]:
        """Run all the rounds and give the rows' answers."""
        answers = [_Answer() for _ in range(count)]
        for commits in run.rounds:
            for answer, new in zip(answers, commits, strict=True):
                if new is not None:
                    answer.add(new)
        return [self._finish(answer, run, settings) for answer in answers]

    def _pieces(self, run: Run, settings: DecodingOptions) -> Iterator[Piece]:
        answer, shown = _Answer(), ""
        for (new,) in run.rounds:
            assert new is not None
            answer.add(new)
            text = self.decode(answer.tokens)
            # A character may be cut at the round's end; it is held back until its last byte is there.
            whole = text if new.done else text.rstrip("\ufffd")
            added, shown = whole[len(shown) :], whole
            piece = Piece(added, new.tokens, new.round)
            yield replace(piece, generation=self._finish(answer, run, settings)) if new.done else piece

    def _check_ids(self, ids: Sequence[int], what: str) -> None:
        for token in ids:
            if not 0 <= token < self.target.vocab_size:
                raise DraftwiseError(
                    f"{what} {token} is outside the vocabulary; ids run from 0 to {self.target.vocab_size - 1}"
                )

    def _ids(self, prompt: Prompt, method: str, settings: DecodingOptions) -> list[int]:
        if isinstance(prompt, str) and not prompt:
            raise DraftwiseError("the prompt is empty; give at least one character")
        ids = self.encode(prompt) if isinstance(prompt, str) else read_ids(prompt)
        self.check_prompt(ids, method, settings)
        return ids

    def _start(
        self,
        rows: list[list[int]],
        method: str,
        settings: DecodingOptions,
        seeds: list[int],
        tracer: Tracer | None = None,
    ) -> Run:
        self._check_ids(settings.stop_token_ids, "stop_token_ids: token id")
        row = find_method(method)
        job = Job(rows, seeds, row, settings, self.end_ids(settings), self.target, self.draft)
        return begin(job, self._recordings, tracer)

    def _finish(self, answer: _Answer, run: Run, settings: DecodingOptions) -> Generation:
        last = answer.tokens[-1]
        reason: FinishReason = "length"
        if last in self.target.eos_token_ids and not settings.ignore_eos:
            reason = "eos"
        elif last in settings.stop_token_ids:
            reason = "stop"
        return Generation(
            text=self.decode(answer.tokens),
            tokens=tuple(answer.tokens),
            finish_reason=reason,
            rounds=tuple(answer.rounds),
            prefill_ns=run.prefill_ns,
            ttft_ns=run.prefill_ns + run.first_round_ns,
            decode_ns=run.decode_ns,
        )


def _check_pair(target: CausalLM, draft: CausalLM) -> None:
    if draft.vocab_size != target.vocab_size:
        raise DraftwiseError(
            f"the target has {target.vocab_size} vocabulary entries and the draft {draft.vocab_size}; "
            "use two models that share one vocabulary"
        )
    if draft.start_token_id != target.start_token_id:
        raise DraftwiseError(
            f"the target is {_kind(target)} and the draft {_kind(draft)}; use two models of one kind that start alike"
        )


def _kind(model: CausalLM) -> str:
    if not is_encoder_decoder(model):
        return "decoder-only"
    return f"an encoder-decoder that starts with id {model.start_token_id}"
