"""What a built page holds, read as HTML."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import page_runs

from draftwise.report.page import build_page


def test_a_default_run_fits_into_two_megabytes_and_fetches_nothing() -> None:
    html = build_page(*page_runs.make_run())
    assert len(html.encode()) < 2_000_000
    assert re.findall(r"(?:src|href)=\"(?!#)", html) == []


def test_the_policy_knows_every_script_by_its_hash() -> None:
    html = build_page(*page_runs.make_run())
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 3
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in html


def test_the_data_block_is_json() -> None:
    html = build_page(*page_runs.make_run())
    block = re.search(r'<script type="application/json" id="run-data">(.*?)</script>', html, re.DOTALL)
    assert block is not None
    assert len(json.loads(block[1])["browser"]["tasks"]) == 160
