"""Refuses what cannot be: a sample that contradicts itself, and a rate that memory is too slow for.

The experiment that this project starts from printed 29,904,890 tokens a second: prompts were counted as answers, and
answers of no tokens as fast ones. Such a number must not leave this program.
"""

from __future__ import annotations

from draftwise.bench.cells import BASELINE, FLOOR
from draftwise.bench.records import Sample
from draftwise.errors import DraftwiseError

TOLERANCE = 0.10
"""A measured rate may be above the limit by this share, since the measured bandwidth has noise of its own."""


def sample_fault(sample: Sample, max_new_tokens: int) -> str | None:
    """Why a sample must not enter any rate, or None."""
    count = len(sample.new_tokens)
    if not count:
        return "no new tokens"
    if count > max_new_tokens:
        return f"{count} new tokens, and the limit is {max_new_tokens}"
    if not 1 <= sample.passes <= count:
        return f"{sample.passes} target passes for {count} new tokens"
    if sample.method in (BASELINE, FLOOR) and sample.passes != count:
        return f"{sample.passes} target passes for {count} new tokens of plain decoding"
    if sample.prefill_ns < 0 or sample.decode_ns <= 0:
        return "a time that is not above zero"
    if sample.total_ns < sample.prefill_ns + sample.decode_ns:
        return "the total time is shorter than its parts"
    if not sample.prefill_ns <= sample.ttft_ns <= sample.total_ns:
        return "the time to the first token does not lie between the prefill and the total"
    if sample.compilations:
        return "a program was compiled within the sample"
    return None


def check_rate(
    method: str, tokens: int, seconds: float, passes: int, bandwidth: float | None, bytes_per_pass: int | None
) -> None:
    """Hold a method's decode rate against the fastest that memory allows.

    A pass reads every weight once, so tokens / seconds <= bandwidth / bytes a pass x tokens / passes. The whole method
    is compared, not a sample, and with a tolerance of 10 % for the noise of both measurements. Where the bandwidth or
    the bytes are unknown nothing is checked.

    Raises:
        DraftwiseError: the rate is above the limit.
    """
    if bandwidth is None or not bytes_per_pass or not passes:
        return
    limit = bandwidth / bytes_per_pass * tokens / passes
    rate = tokens / seconds
    if rate > limit * (1 + TOLERANCE):
        raise DraftwiseError(
            f"{method}: {rate:,.0f} tokens/s cannot be, memory read at {bandwidth / 1e9:.1f} GB/s allows {limit:,.0f}; "
            "the records are kept but no rate is reported; measure again on a quiet machine"
        )
