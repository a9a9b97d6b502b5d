"""Runs that are killed again and again, and go on each time as if nothing had been."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from fakes import bench, taken
from nursery import Ended, Nursery

from draftwise.bench.records import read_samples
from draftwise.bench.store import read_optional

KILLS = 20
QUICK: dict[str, Any] = {"fake": True, "silent": True}
REAL = ("--subtasks", "qa,multi-turn", "--limit", 1, "--repeats", 8, "--max-new-tokens", 6, "--methods", "as,as*,sps")


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.suffix != ".torn"}


def assert_same(directory: Path, undisturbed: Path) -> None:
    """The samples and checks are the same, each is there once, and nothing lies around."""
    assert taken(directory) == taken(undisturbed)
    assert names(directory) == names(undisturbed)
    assert read_optional(directory / "end.json")["complete"] is True


def killed(nursery: Nursery, arguments: tuple[object, ...], seed: int, most: int, **job: object) -> list[str]:
    """Kill a run at ``KILLS`` random moments, starting it again each time; where it died."""
    places, generator = [], random.Random(seed)
    for _ in range(KILLS):
        moment = [generator.randint(1, most), generator.random() < 0.5]
        ended = nursery.run(*arguments, die=moment, **job)
        assert ended.code == -signal.SIGKILL, ended
        places.append(ended.died_in)
    return places


def test_a_run_killed_at_twenty_random_moments_ends_as_an_undisturbed_one(nursery: Nursery, tmp_path: Path) -> None:
    assert nursery.run(*bench(tmp_path / "calm", repeats=12), **QUICK).code == 0
    places = []
    for seed in range(3):
        arguments = bench(tmp_path / f"run-{seed}", repeats=12)
        places += killed(nursery, arguments, seed, 60, **QUICK)
        ended = nursery.run(*arguments, **QUICK)
        assert ended.code == 0 and "going on with" in ended.err
        assert_same(tmp_path / f"run-{seed}", tmp_path / "calm")
    assert {place.split(", ")[0] for place in places} == {"answer", "write", "fsync", "replace"}, places
    labels = {place.split(", ")[1][:6] for place in places}
    assert labels == {"prepar", "first ", "warmin", "checki", "timing", "repeat"}, places


def test_every_moment_before_the_first_sample_may_be_the_last(nursery: Nursery, tmp_path: Path) -> None:
    """Preparing, warming up and checking hold some 70 events; each of the first is tried in both ways."""
    assert nursery.run(*bench(tmp_path / "calm", repeats=1), **QUICK).code == 0
    places = set()
    for moment in (*range(1, 12), *range(12, 70, 4)):
        for half in (False, True) if moment < 12 else (moment % 8 == 0,):
            directory = tmp_path / f"{moment}-{half}"
            ended = nursery.run(*bench(directory, repeats=1), die=[moment, half], **QUICK)
            assert ended.code == -signal.SIGKILL, (moment, ended)
            places.add(ended.died_in)
            assert nursery.run(*bench(directory, repeats=1), **QUICK).code == 0
            assert_same(directory, tmp_path / "calm")
    assert {"answer, preparing", "fsync, first answers", "replace, first answers", "write, checking"} <= places


def test_a_run_killed_from_outside_goes_on(nursery: Nursery, tmp_path: Path) -> None:
    generator = random.Random(5)
    assert nursery.run(*bench(tmp_path / "calm", repeats=30), **QUICK).code == 0
    kills = 0
    while True:
        pid = nursery.start(*bench(tmp_path / "run", repeats=30), nap=0.001, **QUICK)
        time.sleep(generator.uniform(0.03, 0.3))
        os.kill(pid, signal.SIGKILL)
        ended = nursery.wait(pid)
        if ended.code == 0:
            break
        kills += 1
    assert kills > 2
    assert_same(tmp_path / "run", tmp_path / "calm")


@pytest.mark.slow
def test_the_built_in_pair_killed_at_twenty_random_moments_gives_the_same_answers(
    nursery: Nursery, tmp_path: Path
) -> None:
    arguments = ("bench", *REAL, "--output")
    assert nursery.run(*arguments, tmp_path / "calm").code == 0
    places = killed(nursery, (*arguments, tmp_path / "run"), 1, 30)
    assert {place.split(", ")[1][:6] for place in places} >= {"warmin", "checki", "repeat"}, places
    ended = nursery.run(*arguments, tmp_path / "run")
    assert ended.code == 0, ended
    assert_same(tmp_path / "run", tmp_path / "calm")


def test_after_sigterm_the_run_is_whole_but_shorter_and_goes_on(nursery: Nursery, tmp_path: Path) -> None:
    def end_with(number: signal.Signals) -> Ended:
        pid = nursery.start(*bench(tmp_path / "run", repeats=20), fake=True, nap=0.004)
        size, end = (tmp_path / "run" / "records.jsonl"), time.monotonic() + 20
        before = size.stat().st_size if size.exists() else 0
        while not (size.exists() and size.stat().st_size > before + 2000):
            assert time.monotonic() < end
            time.sleep(0.005)
        os.kill(pid, number)
        return nursery.wait(pid)

    for number in (signal.SIGTERM, signal.SIGINT):
        ended = end_with(number)
        assert ended.code == 128 + number, ended
        facts = read_optional(tmp_path / "run" / "end.json")
        assert (facts["complete"], facts["stopped_by"]) == (False, number.name)
        assert len(list(read_samples(tmp_path / "run"))) == facts["samples"] < facts["planned"]
        assert f"stopped by {number.name} after {facts['samples']} of {facts['planned']} samples" in ended.err
    assert nursery.run(*bench(tmp_path / "run", repeats=20), fake=True).code == 0
    assert nursery.run(*bench(tmp_path / "calm", repeats=20), fake=True).code == 0
    assert_same(tmp_path / "run", tmp_path / "calm")
