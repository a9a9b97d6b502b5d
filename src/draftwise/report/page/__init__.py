"""One HTML file that shows a run: figures, charts and every answer, with nothing fetched from anywhere."""

from __future__ import annotations

from draftwise.bench.store import PAGE
from draftwise.report.page.build import build_page, write_page

__all__ = ["PAGE", "build_page", "write_page"]
