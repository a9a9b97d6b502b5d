"""A run that takes seconds, to be ended from outside: ``python child.py DIRECTORY``."""

from __future__ import annotations

import sys

from fakes import FakeEngine, add_suite, models

from draftwise.bench import BenchSettings
from draftwise.bench.runner import run_bench
from draftwise.options import DecodingOptions
from draftwise.tasks import load_suite

add_suite()
settings = BenchSettings(suite="small", repeats=1000, decoding=DecodingOptions(max_new_tokens=12))
run_bench(models(FakeEngine(nap=0.002)), settings, load_suite("small"), sys.argv[1])
