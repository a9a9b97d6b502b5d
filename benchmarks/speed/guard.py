"""What counts as a regression: pure functions of ratios."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.speed.ratios import Ratio

TOLERANCE = 0.10
"""By which share a ratio may be worse."""

Verdict = Literal["worse", "better", "same", "new", "missing"]
Ratios = Mapping[str, Ratio]


@dataclass(frozen=True, slots=True)
class Finding:
    """A benchmark, what it was and what it is now; None where it wasn't or isn't measured."""

    name: str
    verdict: Verdict
    before: Ratio | None
    now: Ratio | None


def is_worse(now: Ratio, before: Ratio) -> bool:
    """Whether a ratio rose by more than the tolerance, and the two intervals are apart."""
    return now.value > (1 + TOLERANCE) * before.value and now.low > before.high


def compare(before: Ratios, measure: Callable[[Sequence[str]], Ratios]) -> list[Finding]:
    """Measure everything, and what looks worse once more: it is worse if it is so both times.

    Args:
        before: the baseline's ratios.
        measure: measures the benchmarks of those names, in a fresh process; all of them for none.

    Returns:
        A finding for each benchmark, the baseline's first.
    """
    now = dict(measure(()))
    suspects = [name for name, ratio in now.items() if name in before and is_worse(ratio, before[name])]
    if suspects:
        now |= {name: min(ratio, now[name], key=lambda r: r.value) for name, ratio in measure(suspects).items()}
    names = dict.fromkeys((*before, *now))
    return [_finding(name, before.get(name), now.get(name)) for name in names]


def _finding(name: str, before: Ratio | None, now: Ratio | None) -> Finding:
    if now is None or before is None:
        return Finding(name, "new" if before is None else "missing", before, now)
    worse, better = is_worse(now, before), is_worse(before, now)
    return Finding(name, "worse" if worse else "better" if better else "same", before, now)


def holds(findings: Sequence[Finding]) -> bool:
    """Whether nothing got worse, and nothing that was guarded is left out."""
    return not any(finding.verdict in ("worse", "missing") for finding in findings)


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """A line for each benchmark, and what to do."""
    names = [finding.name.rpartition("::")[2].removeprefix("bench_") for finding in findings]
    width = max(map(len, names))
    yield f"{'':<{width}}  {'before':>8} {'now':>8} {'change':>8}  {'now, µs':>10} {'reference':>10}"
    for name, finding in zip(names, findings, strict=True):
        yield f"{name:<{width}}  {_figures(finding)}  {_remark(finding)}".rstrip()


def _figures(finding: Finding) -> str:
    before, now = finding.before, finding.now
    change = f"{100 * (now.value / before.value - 1):+.1f} %" if before and now else ""
    times = (f"{now.subject_us:.1f}", f"{now.reference_us:.1f}") if now else ("", "")
    figures = (f"{ratio.value:.3f}" if ratio else "" for ratio in (before, now))
    return "{:>8} {:>8}".format(*figures) + f" {change:>8}  {times[0]:>10} {times[1]:>10}"


def _remark(finding: Finding) -> str:
    spread = finding.before and finding.before.high / finding.before.value - 1
    return {
        "worse": "WORSE, twice",
        "missing": "MISSING: no longer measured; renew the baseline if that is meant",
        "new": "new: not in the baseline; renew it",
        "better": "better: renew the baseline to keep it",
        "same": f"(spread of the baseline {100 * spread:.0f} %)" if spread and spread > TOLERANCE else "",
    }[finding.verdict]
