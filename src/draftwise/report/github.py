"""The pieces of GitHub's Markdown: a table, a list, and texts in which nothing is markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from draftwise.report.plain import printable

_MARKUP = re.compile(
    r"[\\`*{}<>#|~&$!^]"
    r"|(?<![^\W_])_|_(?![^\W_])|@(?=\S)"  # within a word an underscore is no markup
    r"|\[(?![-−+\d][-−+\d.,– to]*\](?![(\[:]))"  # an interval such as [1.85–1.95] is no link
    r"|:(?=[^\s\d])"  # addresses, and signs such as :smile:
    r"|(?<=[Ww])\.(?=\S)"  # www.
    r"|^[-+=]"
)
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


def escaped(text: str) -> str:
    """A text on one line that GitHub's Markdown shows as it is, within a paragraph, a list or a table's cell."""
    plain = printable(text).strip()
    return _NUMBERED.sub(r"\1\\\2", _MARKUP.sub(lambda found: f"\\{found[0]}", plain))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> list[str]:
    """The lines of a table whose cells are escaped; the first ``texts`` columns stand to the left."""
    marks = ["---" if place < texts else "---:" for place in range(len(heads))]
    return [_line(map(escaped, heads)), _line(marks), *(_line(map(escaped, row)) for row in rows), ""]


def bullets(texts: Iterable[str]) -> list[str]:
    """The lines of a list of texts."""
    lines = [f"- {escaped(text)}" for text in texts]
    return [*lines, ""] if lines else []


def heading(level: int, text: str) -> list[str]:
    """The lines of a heading."""
    return [f"{'#' * level} {escaped(text)}", ""]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
