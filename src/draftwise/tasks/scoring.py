"""How an answer is scored against its reference: one metric a subtask, each in [0, 1].

Answers are raw continuations, so the space that they begin with is no part of them. Translation is scored by ROUGE-L
too: chrF, the field's usual choice, would bring in sacrebleu and four more packages for one figure, and where a
sentence has exactly one right translation the longest common sequence of words tells right from wrong more sharply.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from draftwise.tasks.prompts import Prompt

METRICS: dict[str, str] = {
    "multi-turn": "fields",
    "translation": "rouge-l",
    "summarization": "rouge-l",
    "qa": "fields",
    "math_reasoning": "last number",
    "rag": "fields",
    "law analytics": "fields",
    "grammar correction": "exact match",
}
"""The metric of each subtask; "fields" is token F1 where a prompt names no fields. Any other subtask has "token F1"."""

_BY_FIELDS = ("fields", "token F1")  # the two are one metric: by the fields where a prompt names them
_WORD = re.compile(r"\w+")
_APART = re.compile(r"\s+(?=[.,;:!?)]|n't\b|'(?:s|re|ve|ll|d|m)\b)")  # as the Penn Treebank cuts words
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")


def metric_of(subtask: str) -> str:
    """The name of the metric by which answers of a subtask are scored."""
    return METRICS.get(subtask, "token F1")


def score_answer(prompt: Prompt, turn: int, answer: str) -> float | None:
    """The quality of an answer to a turn: the best against its right answers, None where nothing is known of them."""
    fields, metric = prompt.fields_of(turn), metric_of(prompt.subtask)
    if fields and metric in _BY_FIELDS:
        return field_recall(answer, fields)
    return max((score(prompt.subtask, answer, right) for right in prompt.answers(turn)), default=None)


def score(subtask: str, answer: str, reference: str, fields: Sequence[str] = ()) -> float:
    """The quality of an answer, from 0 (wrong) to 1 (right), by the metric of its subtask."""
    metric = metric_of(subtask)
    if metric in _BY_FIELDS:
        return field_recall(answer, fields) if fields else token_f1(answer, reference)
    if metric == "rouge-l":
        return rouge_l(answer, reference)
    if metric == "last number":
        return last_number_match(answer, reference)
    return exact_match(answer, reference)


def normalise(text: str) -> str:
    """The text with every run of white space as one space and none at its ends."""
    return " ".join(text.split())


def words(text: str) -> list[str]:
    """The words of a text in lower case, letters of every script and digits, without punctuation."""
    return _WORD.findall(text.casefold())


def field_recall(answer: str, fields: Sequence[str]) -> float:
    """The share of the fields that occur in the answer as whole words, whatever their case and spacing."""
    text = normalise(answer).casefold()
    found = [re.search(rf"(?<!\w){re.escape(normalise(field).casefold())}(?!\w)", text) for field in fields]
    return sum(hit is not None for hit in found) / len(fields)


def token_f1(answer: str, reference: str) -> float:
    """F1 of the two bags of words (Rajpurkar et al. 2016, SQuAD), articles kept."""
    given, wanted = Counter(words(answer)), Counter(words(reference))
    common = sum((given & wanted).values())
    if not common:
        return float(not given and not wanted)
    precision, recall = common / sum(given.values()), common / sum(wanted.values())
    return 2 * precision * recall / (precision + recall)


def rouge_l(answer: str, reference: str) -> float:
    """F of the longest common sequence of words (Lin 2004), without stemming."""
    if not words(answer) or not words(reference):
        return float(words(answer) == words(reference))
    return float(_rouge_scorer().score(reference, answer)["rougeL"].fmeasure)


def last_number_match(answer: str, reference: str) -> float:
    """1 if the last number of the answer is the last number of the reference, else 0."""
    given, wanted = _last_number(answer), _last_number(reference)
    return float(given is not None and given == wanted)


def exact_match(answer: str, reference: str) -> float:
    """1 if the two are the same but for white space, that before a comma or in a cut word ("do n't") included."""
    return float(_APART.sub("", normalise(answer)) == _APART.sub("", normalise(reference)))


def _last_number(text: str) -> float | None:
    numbers = _NUMBER.findall(text)
    return float(numbers[-1].replace(",", "")) if numbers else None


class _Words:
    """The library's tokenizer keeps a-z and 0-9 only and would cut German words at their umlauts."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


@lru_cache(maxsize=1)
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Words())
