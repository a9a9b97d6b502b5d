"""The eight subtasks, the suites of prompts that fill them, and how an answer is scored."""

from __future__ import annotations

from draftwise.tasks.prompts import SUBTASKS, Prompt, Suite, history, prompts_to_lines, subtasks_of, suite_sha256
from draftwise.tasks.rows import parse_prompts
from draftwise.tasks.scoring import METRICS, metric_of, score, score_answer
from draftwise.tasks.sources import SuiteSource
from draftwise.tasks.suites import SUITES, check_source, load_suite, shipped

__all__ = [
    "METRICS",
    "SUBTASKS",
    "SUITES",
    "Prompt",
    "Suite",
    "SuiteSource",
    "check_source",
    "history",
    "load_suite",
    "metric_of",
    "parse_prompts",
    "prompts_to_lines",
    "score",
    "score_answer",
    "shipped",
    "subtasks_of",
    "suite_sha256",
]
