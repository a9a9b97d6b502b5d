"""A run as the analysis takes it: read from its directory, finished or not, in one stream and with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from draftwise.analysis.checks import CheckTable
from draftwise.analysis.frame import Frame, frame_of
from draftwise.bench.cells import make_cells
from draftwise.bench.records import CHECKS, RECORDS, Check, read_checks, read_samples
from draftwise.bench.settings import BenchSettings
from draftwise.bench.store import COSTS, END, PROMPTS, last_session, read_optional, read_prompts, read_run
from draftwise.errors import DraftwiseError
from draftwise.tasks import Prompt, suite_sha256


@dataclass(frozen=True, slots=True)
class RunData:
    """What a run left.

    Attributes:
        settings: what it measured.
        environment: where; "after" is the machine's state after the last sample.
        prompts: those that were measured.
        frame: the timed samples.
        checks: what the check pass saw.
        costs: the time of passes, None where it was not measured.
        planned: how many timed samples there should be.
        stopped_by: the signal that ended it, if one did.
        directory: where it lies, None for one in memory.
        groups: the checks themselves, for a run in memory.
    """

    settings: BenchSettings
    environment: dict[str, Any]
    prompts: tuple[Prompt, ...]
    frame: Frame
    checks: CheckTable
    costs: dict[str, Any] | None
    planned: int
    stopped_by: str | None = None
    directory: Path | None = None
    groups: tuple[list[Check], ...] = field(default=(), repr=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """The cells, in the settings' order."""
        return tuple(cell.label for cell in make_cells(self.settings))

    def check_groups(self) -> Iterator[list[Check]]:
        """The checks, those of one turn of one prompt together; read from the disk anew each time."""
        return iter(self.groups) if self.directory is None else _checks(self.directory)


def load_run(directory: str | Path) -> RunData:
    """Read a run, finished or not.

    Raises:
        DraftwiseError: there is none, it can't be read, or its prompts aren't those that were measured.
    """
    path = Path(directory)
    header = read_run(path)
    settings = BenchSettings.from_record(header["settings"])
    prompts, environment = read_prompts(path), header["environment"]
    if environment["prompts_sha256"] != suite_sha256(prompts):
        raise DraftwiseError(f"{path / PROMPTS} was changed: its prompts are not those that were measured")
    end = read_optional(path / END)
    environment["after"] = end.get("environment") or last_session(path)
    labels = [cell.label for cell in make_cells(settings)]
    checks = CheckTable.of(_checks(path), labels, settings, environment)
    samples = read_samples(path) if (path / RECORDS).exists() else iter(())
    return RunData(
        settings=settings,
        environment=environment,
        prompts=tuple(prompts),
        frame=frame_of(samples, checks.ids, labels, settings.decoding.max_new_tokens),
        checks=checks,
        costs=read_optional(path / COSTS) or None,
        planned=int(header["planned"]),
        stopped_by=end.get("stopped_by"),
        directory=path,
    )


def _checks(directory: Path) -> Iterator[list[Check]]:
    return read_checks(directory) if (directory / CHECKS).exists() else iter(())
