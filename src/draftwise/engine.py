"""The face: load a target and a draft, put text or ids in, get text, ids and an account of the rounds out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Literal, overload

import torch

from draftwise.builtin import draft_directory, target_directory
from draftwise.decoding.loop import Commit, decode, prefill, start
from draftwise.decoding.types import Drafter, Round, Sampling
from draftwise.errors import DraftwiseError
from draftwise.inputs import Prompt, read_ids, read_settings, split_prompts
from draftwise.methods import find_method, make_drafter
from draftwise.models.loading import load_model
from draftwise.models.protocol import CausalLM
from draftwise.models.tokenizer import Tokenizer, load_tokenizer, vocabulary_differences
from draftwise.options import DecodingOptions

FinishReason = Literal["eos", "length", "stop"]


@dataclass(frozen=True, slots=True)
class Generation:
    """One prompt's answer: new ids only, and how they came about.

    Times are in nanoseconds and belong to the whole batch. ``prefill_ns`` fills both models' caches with the prompt
    and emits nothing; ``decode_ns`` is all the rounds, which emit every new token; ``ttft_ns`` runs from the call to
    the end of the first round.
    """

    text: str
    tokens: tuple[int, ...]
    finish_reason: FinishReason
    rounds: tuple[Round, ...]
    prefill_ns: int
    ttft_ns: int
    decode_ns: int

    @property
    def acceptance_length(self) -> float:
        """New tokens per target pass; 1.0 for plain decoding."""
        return len(self.tokens) / len(self.rounds)

    @property
    def acceptance_rate(self) -> float | None:
        """Accepted tokens per drafted token, None where nothing was drafted."""
        drafted = sum(item.drafted for item in self.rounds)
        return sum(item.accepted for item in self.rounds) / drafted if drafted else None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one round added to a streamed answer; the last piece carries the whole generation."""

    text: str
    tokens: tuple[int, ...]
    round: Round
    generation: Generation | None = None


@dataclass(slots=True)
class _Answer:
    """A row while it is being decoded."""

    tokens: list[int] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)

    def add(self, new: Commit) -> None:
        """Take in what a round added."""
        self.tokens += new.tokens
        self.rounds.append(new.round)


@dataclass(slots=True)
class _Run:
    """One call: its rounds, and the nanoseconds that its parts took."""

    rounds: Iterator[list[Commit | None]]
    prefill_ns: int
    first_round_ns: int = 0
    decode_ns: int = 0


class Engine:
    """A target model, perhaps a draft model, and their tokenizer."""

    def __init__(self, target: CausalLM, draft: CausalLM | None = None, tokenizer: Tokenizer | None = None) -> None:
        """Use models that are loaded already; without a tokenizer only ids go in and out.

        Raises:
            DraftwiseError: the two models' logits have different sizes.
        """
        if draft is not None and draft.vocab_size != target.vocab_size:
            raise DraftwiseError(
                f"the target has {target.vocab_size} vocabulary entries and the draft {draft.vocab_size}; "
                "use two models that share one vocabulary"
            )
        self.target = target
        self.draft = draft
        self.tokenizer = tokenizer

    @classmethod
    def load(
        cls,
        target: str | Path = "builtin",
        draft: str | Path | None = None,
        *,
        dtype: str = "float32",
        device: str = "cpu",
    ) -> Engine:
        """Load models from Hugging Face-format directories, or the pair that ships with the package.

        Args:
            target: a directory, or "builtin" (which brings its own draft unless one is named).
            draft: a directory, or "builtin", or None: then only method "as" runs.
            dtype: float32, bfloat16, float16 or float64.
            device: "cpu", "cuda" or "cuda:N".

        Raises:
            DraftwiseError: a directory that can't be used, vocabularies that differ, an unknown dtype or device.
        """
        if draft is None and target == "builtin":
            draft = "builtin"
        target_path = target_directory() if target == "builtin" else Path(target)
        draft_path = draft_directory() if draft == "builtin" else Path(draft) if draft is not None else None
        loaded = load_model(target_path, dtype=dtype, device=device)
        small = load_model(draft_path, dtype=dtype, device=device) if draft_path is not None else None
        return cls(loaded, small, _shared_tokenizer(target_path, draft_path))

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with what the tokenizer puts in front."""
        return self._text().encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out; empty where no tokenizer is loaded."""
        return self.tokenizer.decode(ids) if self.tokenizer is not None else ""

    def check_prompt(self, ids: Sequence[int], method: str, options: DecodingOptions) -> None:
        """Check that a prompt can be decoded.

        Raises:
            DraftwiseError: it is empty, holds an id outside the vocabulary, or is too long for a model's context.
        """
        if not ids:
            raise DraftwiseError("the prompt is empty; give at least one token")
        self._check_ids(ids, "token id")
        models = {"target": self.target}
        if find_method(method).needs_draft and self.draft is not None:
            models["draft"] = self.draft
        for role, model in models.items():
            if len(ids) + options.max_new_tokens > model.max_positions:
                raise DraftwiseError(
                    f"the prompt has {len(ids)} tokens, with max_new_tokens {options.max_new_tokens} that is more than "
                    f"the {role}'s context of {model.max_positions}; shorten the prompt or ask for fewer new tokens"
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
        run = self._start(rows, method, settings, seeds)
        answers = [_Answer() for _ in rows]
        for commits in run.rounds:
            for answer, new in zip(answers, commits, strict=True):
                if new is not None:
                    answer.add(new)
        generations = [self._finish(answer, run, settings) for answer in answers]
        return generations[0] if single else generations

    def stream(self, prompt: Prompt, *, method: str = "sps", seed: int = 0, **options: Any) -> Iterator[Piece]:
        """Decode one prompt and yield a piece as each round ends; arguments and errors as for ``generate``."""
        settings, seeds = read_settings(options, seed, 1)
        run = self._start([self._ids(prompt, method, settings)], method, settings, seeds)
        return self._pieces(run, settings)

    def _pieces(self, run: _Run, settings: DecodingOptions) -> Iterator[Piece]:
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

    def _text(self) -> Tokenizer:
        if self.tokenizer is None:
            raise DraftwiseError("no tokenizer.json lies beside the target's weights; give the prompt as token ids")
        return self.tokenizer

    def _ids(self, prompt: Prompt, method: str, settings: DecodingOptions) -> list[int]:
        if isinstance(prompt, str) and not prompt:
            raise DraftwiseError("the prompt is empty; give at least one character")
        ids = self.encode(prompt) if isinstance(prompt, str) else read_ids(prompt)
        self.check_prompt(ids, method, settings)
        return ids

    def _start(self, rows: list[list[int]], method: str, settings: DecodingOptions, seeds: list[int]) -> _Run:
        row = find_method(method)
        device = self.target.device
        self._check_ids(settings.stop_token_ids, "stop_token_ids: token id")
        ends = settings.stop_token_ids + (() if settings.ignore_eos else self.target.eos_token_ids)
        stops = torch.tensor(ends, dtype=torch.int64, device=device)
        drafter: Drafter = make_drafter(row, self.draft, settings, stops)
        began = self._clock()
        with torch.inference_mode():
            context = start(
                rows,
                seeds,
                Sampling(settings.temperature, settings.top_k, settings.top_p),
                max_new_tokens=settings.max_new_tokens,
                slack=min(drafter.most, settings.max_new_tokens - 1) + 1,
                device=device,
            )
            cache = prefill(self.target, context)
            drafter.prefill(context)
        rounds = decode(self.target, cache, drafter, row.verifier(settings), context, stops)
        run = _Run(rounds, self._clock() - began)
        run.rounds = self._timed(rounds, run)
        return run

    def _timed(self, rounds: Iterator[list[Commit | None]], run: _Run) -> Iterator[list[Commit | None]]:
        """The rounds, with their own time added up: a streaming caller's time between them isn't theirs."""
        while True:
            began = perf_counter_ns()
            with torch.inference_mode():
                commits = next(rounds, None)
            if commits is None:
                return
            over = all(new is None or new.done for new in commits)
            run.decode_ns += (self._clock() if over else perf_counter_ns()) - began
            run.first_round_ns = run.first_round_ns or run.decode_ns
            yield commits

    def _clock(self) -> int:
        if self.target.device.type == "cuda":
            torch.cuda.synchronize(self.target.device)
        return perf_counter_ns()

    def _finish(self, answer: _Answer, run: _Run, settings: DecodingOptions) -> Generation:
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


def _shared_tokenizer(target: Path, draft: Path | None) -> Tokenizer | None:
    """The pair's tokenizer, None where neither directory has one.

    Vocabularies are compared by content: two of one size and different meaning would write wrong text in silence.
    """
    directories = [target] if draft is None else [target, draft]
    having = [directory for directory in directories if (directory / "tokenizer.json").exists()]
    if not having:
        return None
    if len(having) < len(directories):
        raise DraftwiseError(
            f"only {str(having[0])!r} of the two model directories has a tokenizer.json, so their vocabularies can't "
            "be compared; put the other's tokenizer.json beside its weights"
        )
    tokenizers = [load_tokenizer(directory) for directory in directories]
    differences = vocabulary_differences(tokenizers[0].vocabulary(), tokenizers[-1].vocabulary())
    if differences:
        raise DraftwiseError(
            f"the vocabularies of {str(target)!r} and {str(draft)!r} differ ({'; '.join(differences)}); "
            "use a draft that shares the target's tokenizer"
        )
    return tokenizers[0]
