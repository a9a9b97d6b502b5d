"""The ids that each cell meets, made and checked before anything is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from draftwise.bench.cells import BASELINE, Cell
from draftwise.bench.plan import Task, task_seed
from draftwise.bench.settings import BenchSettings
from draftwise.errors import DraftwiseError
from draftwise.options import DecodingOptions
from draftwise.tasks import Prompt, history

if TYPE_CHECKING:
    from draftwise.engine import Engine

Tick = Callable[[str], None]
"""Called with a label whenever one unit of work is done."""

WarmUp = tuple[Cell, Task, DecodingOptions]
"""An untimed call: cell, prompt and options."""


class Refused(NamedTuple):
    """A prompt that is left out because of one of its turns."""

    id: str
    turn: int  # counted from 0
    tokens: int  # 0 where the turn is empty
    limit: int  # the most tokens that the target takes beside the new ones


class Truncated(NamedTuple):
    """A turn whose front was cut off."""

    id: str
    turn: int  # counted from 0
    tokens: int  # before the cut
    cut: int


@dataclass(slots=True)
class Inputs:
    """The ids of every turn that is measured, and what was left out or cut to get them."""

    ids: dict[Task, list[int]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    truncated: list[Truncated] = field(default_factory=list)

    def drop(self, reason: Refused) -> None:
        """Leave a prompt out, with the turns that were taken in already."""
        self.refused.append(reason)
        self.ids = {task: ids for task, ids in self.ids.items() if task[0] != reason.id}
        self.truncated = [item for item in self.truncated if item.id != reason.id]


def call_options(decoding: DecodingOptions) -> dict[str, Any]:
    """The keyword arguments of ``Engine.generate``, but for the seed, which is the sample's own."""
    return {name: value for name, value in asdict(decoding).items() if name != "seed"}


def make_inputs(engine: Engine, settings: BenchSettings, prompts: Sequence[Prompt], tick: Tick) -> Inputs:
    """The ids of every turn of every prompt that the target can take.

    The history of a later turn is plain decoding's own answers, the same for every cell. A prompt of which one turn is
    empty, or too long for the target's context, is left out as a whole; with ``truncate`` "left" the front of a long
    turn is cut instead.

    Raises:
        DraftwiseError: no prompt is left, or one holds what the target cannot read.
    """
    inputs, limit = Inputs(), engine.prompt_limit(settings.decoding)
    answers: dict[str, list[str]] = {prompt.id: [] for prompt in prompts}
    options = call_options(settings.decoding)
    for turn in range(max(len(prompt.turns) for prompt in prompts)):
        for prompt in (prompt for prompt in prompts if len(prompt.turns) > turn):
            before = (prompt.id, turn - 1)
            if turn and before not in inputs.ids:
                continue
            if turn:
                seed = task_seed(settings.decoding.seed, before)
                answers[prompt.id].append(
                    engine.generate(inputs.ids[before], method=BASELINE, seed=seed, **options).text
                )
                tick("first answers")
            ids = _read(engine, prompt.turns[: turn + 1], answers[prompt.id])
            _take(engine, settings, inputs, (prompt.id, turn), ids, limit)
    if not inputs.ids:
        raise _none_fits(inputs.refused[0], len(prompts), settings.decoding.max_new_tokens)
    return inputs


def _none_fits(first: Refused, prompts: int, new: int) -> DraftwiseError:
    if first.limit < 1:
        return DraftwiseError(f"{new} new tokens alone fill the target's context; ask for fewer")
    return DraftwiseError(
        f"none of {prompts} prompts can be decoded; the first is {first.id!r}, turn {first.turn + 1}, "
        f"of {first.tokens} tokens, and the target takes 1 to {first.limit} beside {new} new ones; "
        "shorten the prompts, ask for fewer new tokens, or cut them with --truncate left"
    )


def _read(engine: Engine, turns: Sequence[str], answers: Sequence[str]) -> list[int]:
    """The ids of a conversation, in the chat template's form where there is one."""
    if engine.chat_template is None:
        return engine.encode(history(turns, answers))
    return engine.encode_chat(messages(turns, answers))


def messages(turns: Sequence[str], answers: Sequence[str]) -> list[dict[str, str]]:
    """A conversation as a chat template takes it: what the user says, with the answers, stripped, in between."""
    said = [{"role": "user", "content": turn} for turn in turns]
    answered = [{"role": "assistant", "content": answer.strip()} for answer in answers]
    pairs = [list(pair) for pair in zip(said, answered, strict=False)]
    return [message for pair in pairs for message in pair] + said[len(answered) :]


def _take(engine: Engine, settings: BenchSettings, inputs: Inputs, task: Task, ids: list[int], limit: int) -> None:
    """Take a turn in, cut it, or leave its prompt out."""
    if len(ids) > limit and settings.truncate == "left" and limit > 1:
        inputs.truncated.append(Truncated(*task, len(ids), len(ids) - limit))
        ids = _cut(engine, ids, limit)
    if not ids or len(ids) > limit:
        inputs.drop(Refused(*task, len(ids), limit))
        return
    engine.check_prompt(ids, BASELINE, settings.decoding)
    inputs.ids[task] = ids


def _cut(engine: Engine, ids: list[int], limit: int) -> list[int]:
    """The last ids, behind the first where that is a special token: it has no text, and the model wants to begin so."""
    lead = ids[:1] if engine.decode(ids[:1]) == "" else []
    return lead + ids[len(ids) - limit + len(lead) :]


def answers_needed(prompts: Sequence[Prompt]) -> int:
    """How many plain answers ``make_inputs`` decodes at most."""
    return sum(len(prompt.turns) - 1 for prompt in prompts)


def warm_up_calls(
    cells: Sequence[Cell], settings: BenchSettings, inputs: dict[Task, list[int]], short: int = 8
) -> list[WarmUp]:
    """The untimed calls before the first sample, a fixed number that follows from the settings and the prompts.

    Each cell answers at each length of prompt that occurs, ``warmups`` times, and stops after ``short`` tokens; then
    the longest prompt in full, so that every length of context has been seen.
    """
    by_length = {len(ids): task for task, ids in inputs.items()}
    full = settings.decoding.max_new_tokens
    jobs = [(by_length[length], min(short, full)) for length in sorted(by_length)] + [(by_length[max(by_length)], full)]
    return [
        (cell, task, replace(cell.options, max_new_tokens=count))
        for task, count in jobs
        for cell in cells
        for _ in range(settings.warmups)
    ]
