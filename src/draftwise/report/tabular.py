"""Writes rows for other programs: CSV, and Parquet with pyarrow.

A text in a CSV file that a spreadsheet would take for a formula (it begins with =, +, -, @, a tab or a line's end) gets
an apostrophe before it, which a spreadsheet shows as text and other programs can take off. Only texts are changed:
numbers stand in columns of their own and are written as numbers, negative ones too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

from draftwise.bench.files import ESCAPE
from draftwise.errors import DraftwiseError
from draftwise.report.rows import IDS, NUMBER, TEXT, TRUTH, WHOLE, Row, Rows

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a formula may begin with; the last four are the wide signs that some spreadsheets read as the others."""

BATCH = 10_000
"""Rows that are in memory at once."""


def write_csv(table: Rows, file: BinaryIO) -> None:
    """Write a table as CSV: UTF-8, lines as in RFC 4180, names first, nothing for None."""
    text = io.TextIOWrapper(file, encoding="utf-8", errors=ESCAPE, newline="", write_through=False)
    try:
        out = csv.writer(text, lineterminator="\r\n")  # so that a text with either sign in it is quoted
        out.writerow(column.name for column in table.columns)
        cells = [_CELLS[column.kind] for column in table.columns]
        out.writerows([cell(value) for cell, value in zip(cells, row, strict=True)] for row in table.rows)
        text.flush()
    finally:
        text.detach()


def guarded(value: Any) -> Any:
    """A text that no spreadsheet runs."""
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(FORMULA) else value


def _truth(value: bool | None) -> str | None:
    return None if value is None else "true" if value else "false"


def _number(value: float | None) -> float | None:
    return value


def _ids(value: Iterable[int]) -> str:
    return " ".join(map(str, value))


_CELLS: dict[str, Callable[[Any], Any]] = {TEXT: guarded, WHOLE: _number, NUMBER: _number, TRUTH: _truth, IDS: _ids}


def write_parquet(table: Rows, file: BinaryIO) -> None:
    """Write a table as Parquet, a group of rows at a time.

    Raises:
        DraftwiseError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise DraftwiseError('--format parquet needs pyarrow; pip install "draftwise[parquet]"') from None
    types = {TEXT: pa.string(), WHOLE: pa.int64(), NUMBER: pa.float64(), TRUTH: pa.bool_(), IDS: pa.list_(pa.int64())}
    schema = pa.schema([(column.name, types[column.kind]) for column in table.columns])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _batches(table.rows):
            values = [_values(column.kind, place, rows) for place, column in enumerate(table.columns)]
            arrays = [pa.array(own, kind) for own, kind in zip(values, schema.types, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while batch := list(islice(source, BATCH)):
        yield batch


def _values(kind: str, place: int, rows: list[Row]) -> list[Any]:
    values = (row[place] for row in rows)
    if kind != TEXT:
        return list(values)
    # A lone surrogate, from a path that is no UTF-8, has no place in Parquet's strings.
    return [None if value is None else str(value).encode("utf-8", ESCAPE).decode() for value in values]
