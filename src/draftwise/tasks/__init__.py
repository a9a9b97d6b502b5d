"""The eight subtasks, the suites of prompts that fill them, and how an answer is scored."""

from __future__ import annotations

from draftwise.tasks.scoring import METRICS, score
from draftwise.tasks.suites import SUBTASKS, SUITES, Prompt, history, load_suite, suite_sha256

__all__ = ["METRICS", "SUBTASKS", "SUITES", "Prompt", "history", "load_suite", "score", "suite_sha256"]
