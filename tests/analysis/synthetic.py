"""Samples and checks with known speeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from draftwise.bench import BenchSettings
from draftwise.bench.records import Check, RoundTrace, Sample
from draftwise.bench.settings import Axis
from draftwise.options import DecodingOptions
from draftwise.tasks import Prompt

MS = 1_000_000
TOKENS = tuple(range(20))
"""The answer's ids where nothing else is said."""
WRONG = 999
"""The id of a guess that is rejected."""
DRAFT = "small"
"""The draft of every method that has one."""


def cell(method: str, title: str, **options: Any) -> dict[str, Any]:
    """What an environment says of a cell."""
    draft = None if method in ("as", "as*") else DRAFT
    return {
        "method": method,
        "title": title,
        "lossless": method != "bild",
        "paper": None,
        "draft": draft,
        "options": options,
    }


ENVIRONMENT: dict[str, Any] = {
    "cores": 4,
    "load_average": [0.1, 0.1, 0.1],
    "bandwidth": 30e9,
    "bytes_per_pass": 30_000_000,
    "draft_bytes_per_pass": {DRAFT: 3_000_000},
    "stop_token_ids": [2],
    "pinned": True,
    "methods": {
        "as": cell("as", "AS"),
        "as*": cell("as*", "AS*"),
        "sps": cell("sps", "SPS", gamma=4),
        "bild": cell("bild", "BiLD", fallback_threshold=0.5, rollback_threshold=3.0),
    },
}


def sample(
    prompt: str = "qa-0",
    method: str = "as",
    *,
    turn: int = 0,
    session: int = 0,
    repeat: int = 0,
    order: int = 0,
    decode_ms: float = 100.0,
    prefill_ms: float = 10.0,
    tokens: Sequence[int] = TOKENS,
    width: int | None = None,
    subtask: str = "qa",
    compilations: int = 0,
) -> Sample:
    """A timed sample whose passes emit ``width`` tokens each: 1 with plain decoding, else 2 where nothing is said."""
    passes = -(-len(tokens) // _width(method, width))
    decode, prefill = int(decode_ms * MS), int(prefill_ms * MS)
    return Sample(
        prompt_id=prompt,
        subtask=subtask,
        turn=turn,
        method=method,
        session=session,
        repeat=repeat,
        order=order,
        seed=0,
        prompt_tokens=9,
        new_tokens=tuple(tokens),
        passes=passes,
        compilations=compilations,
        prefill_ns=prefill,
        ttft_ns=prefill + decode // max(1, passes),
        decode_ns=decode,
        total_ns=prefill + decode,
    )


def check(
    prompt: str = "qa-0",
    method: str = "as",
    *,
    turn: int = 0,
    tokens: Sequence[int] = TOKENS,
    width: int | None = None,
    drafted: int | None = None,
    subtask: str = "qa",
    score: float | None = None,
    finish_reason: str = "length",
    pieces: Sequence[str] | None = None,
    rounds: Sequence[RoundTrace] | None = None,
) -> Check:
    """A check whose passes emit ``width`` tokens of ``drafted`` guesses and one.

    All but one token of a pass were drafted and accepted; guesses beyond them are ``WRONG``.
    """
    ids = tuple(tokens)
    texts = tuple(pieces) if pieces is not None else tuple(f" {token}" for token in ids)
    return Check(
        prompt_id=prompt,
        subtask=subtask,
        turn=turn,
        method=method,
        seed=0,
        prompt_tokens=9,
        new_tokens=ids,
        pieces=texts,
        finish_reason=finish_reason,
        text="".join(texts),
        score=score,
        rounds=tuple(rounds) if rounds is not None else _rounds(ids, _width(method, width), drafted),
    )


def traced(draft: Sequence[int] = (), accepted: int = 0, emitted: int | None = None, **other: int) -> RoundTrace:
    """A round: 1 ms for a pass of the draft, 4 ms of verifying, 1 ms each of judging and in the engine."""
    emitted = accepted + 1 if emitted is None else emitted
    passes = other.pop("draft_passes", len(draft))
    times = {"draft_ns": passes * MS, "verify_ns": 4 * MS, "judge_ns": MS, "engine_ns": MS, "wait_ns": 0} | other
    return RoundTrace(tuple(draft), accepted, emitted, passes, **times)


def settings(
    methods: tuple[str, ...] = ("as", "sps"),
    repeats: int = 3,
    sweep: tuple[Axis, ...] = (),
    sessions: int = 1,
    **decoding: Any,
) -> BenchSettings:
    more: dict[str, Any] = {} if sessions == 1 else {"sessions": sessions}
    return BenchSettings(methods=methods, repeats=repeats, sweep=sweep, decoding=DecodingOptions(**decoding), **more)


def questions(count: int, subtask: str = "qa") -> list[Prompt]:
    return [Prompt(f"{subtask}-{n}", subtask, ("Where?",), ("right",), (("right",),)) for n in range(count)]


def timed(
    speeds: dict[str, float],
    prompts: int,
    repeats: int,
    seed: int,
    noise: float = 0.02,
    *,
    sessions: int = 1,
    scatter: float = 0.1,
    mood: float = 0.0,
    subtask: str = "qa",
) -> list[Sample]:
    """Samples whose times scatter between prompts (by 0.3 in the log, all methods alike) and repeats (by ``noise``).

    A method's own ratio to plain decoding scatters between prompts by ``scatter``, and between sessions, alike for all
    prompts, by ``mood``. A label's method is its first word.
    """
    rng = np.random.default_rng(seed)
    bases = 100 * np.exp(rng.normal(0, 0.3, prompts))
    own = {name: _own(name, rng.normal(0, scatter, prompts)) for name in speeds}
    moods = {name: _own(name, rng.normal(0, mood, sessions)) for name in speeds}
    samples: list[Sample] = []
    for session in range(sessions):
        for repeat in range(repeats):
            for prompt in range(prompts):
                for name, speed in speeds.items():
                    shift = own[name][prompt] + moods[name][session] + rng.normal(0, noise)
                    samples.append(
                        sample(
                            f"{subtask}-{prompt}",
                            name,
                            session=session,
                            repeat=repeat,
                            order=len(samples),
                            decode_ms=bases[prompt] / speed * float(np.exp(shift)),
                            subtask=subtask,
                        )
                    )
    return samples


def checked(methods: Sequence[str], prompts: int, subtask: str = "qa") -> list[list[Check]]:
    """The checks that belong to ``timed``, by task."""
    return [[check(f"{subtask}-{n}", name, subtask=subtask) for name in methods] for n in range(prompts)]


def _own(method: str, values: np.ndarray) -> np.ndarray:
    return values * (method not in ("as", "as*"))


def _width(method: str, width: int | None) -> int:
    return width or (1 if method in ("as", "as*") else 2)


def _rounds(tokens: tuple[int, ...], width: int, drafted: int | None) -> tuple[RoundTrace, ...]:
    rounds = []
    for start in range(0, len(tokens), width):
        emitted = tokens[start : start + width]
        guesses = emitted[:-1] + (WRONG,) * ((width - 1 if drafted is None else drafted) - len(emitted) + 1)
        rounds.append(traced(guesses, len(emitted) - 1, len(emitted)))
    return tuple(rounds)
