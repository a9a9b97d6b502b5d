"""A run's summary for the eyes: the environment, the tables, the warnings and the result lines."""

from __future__ import annotations

from draftwise.report.console import report_run
from draftwise.report.lines import result_lines
from draftwise.report.overview import report_experiment

__all__ = ["report_experiment", "report_run", "result_lines"]
