"""Sweeps by lists and by file: what runs, what is written, and every bad value in one line with exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Pair, Run, read, save_opt

from draftwise.bench.interrupt import StopRequest
from draftwise.bench.records import read_samples

TINY = ("--subtasks", "qa", "--limit", 1, "--repeats", 1, "--max-new-tokens", 4, "--ignore-eos")
pytestmark = pytest.mark.usefixtures("unmeasured_machine")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "experiment.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_sweep_shows_every_cell_and_its_best(run: Run, pair: Pair, tmp_path: Path) -> None:
    output = tmp_path / "run"
    done = run("bench", *pair.options, *TINY, "--gamma", "2,4", "--rollback-threshold", "3,5", "--output", output)
    assert done.code == 0, done.err
    for title in ("SPS γ=2", "SPS γ=4", "BiLD rb=3", "BiLD rb=5"):
        assert f"{title}: " in done.out and done.out.count(title) >= 4
    words = " ".join(done.out.split())
    assert "quality / AS" in words and "SPS gamma 2/4; BiLD fallback 0.6, rollback 3.0/5.0" in words
    labels = ["as", "as*", "sps gamma=2", "sps gamma=4", "bild rollback_threshold=3", "bild rollback_threshold=5"]
    assert list(read(output / "summary.json")["overall"]) == labels
    assert sorted(record.method for record in read_samples(output)) == sorted(labels)
    methods = read(output / "run.json")["environment"]["methods"]
    assert methods["sps gamma=2"]["options"] == {"gamma": 2}
    assert methods["sps gamma=2"]["draft"] == str(pair.draft)


def test_two_drafts_share_a_target_in_one_run(run: Run, pair: Pair, tmp_path: Path) -> None:
    other = save_opt(tmp_path / "other", hidden=8, seed=2)
    output = tmp_path / "run"
    drafts = f"{pair.draft},{other}"
    done = run("bench", "--target", pair.target, "--draft", drafts, *TINY, "--methods", "as,sps", "--output", output)
    assert done.code == 0, done.err
    assert list(read(output / "summary.json")["overall"]) == ["as", "sps draft=draft", "sps draft=other"]
    written = read(output / "run.json")["environment"]
    assert [draft["name"] for draft in written["models"]["drafts"]] == [str(pair.draft), str(other)]
    assert written["models"]["target"]["implementation"] == "own"
    assert written["models"]["target"]["context"] == 4096
    assert written["sha256"]["drafts"][str(other)].keys() >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert written["memory"]


def test_options_of_every_method_make_runs_in_folders_and_a_last_table(run: Run, pair: Pair, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    done = run("bench", *pair.options, *TINY, "--temperature", "0,1", "--methods", "as,sps", "--output", output)
    assert done.code == 0, done.err
    listed = read(output / "experiment.json")["runs"]
    assert [item["directory"] for item in listed] == ["01-temperature=0", "02-temperature=1"]
    for item, temperature in zip(listed, (0.0, 1.0), strict=True):
        assert read(output / item["directory"] / "summary.json")["settings"]["decoding"]["temperature"] == temperature
        assert list(read(output / item["directory"] / "summary.json")["overall"]) == ["as", "sps"]
    assert "all 2 runs, overall" in done.out and "temperature=1: Overall Result: AS:" in done.out
    run("bench", *pair.options, *TINY, "--output", output).refused_with("holds experiment.json and no run.json")
    other = ("--temperature", "0,2", "--methods", "as,sps", "--output", output)
    run("bench", *pair.options, *TINY, *other).refused_with("another experiment", "temperature=0, temperature=1")


def test_a_file_holds_an_experiment_and_the_command_line_overrides_it(run: Run, pair: Pair, tmp_path: Path) -> None:
    text = f"""
        target = '{pair.target}'
        draft = '{pair.draft}'
        methods = ["as", "sps"]
        subtasks = "qa"
        limit = 3
        repeats = 1
        max-new-tokens = 4
        ignore_eos = true
        stop_id = [7]
        gamma = [2, 4]
        temperature = 0
    """
    path, output = write(tmp_path, text), tmp_path / "run"
    done = run("bench", path, "--limit", 1, "--output", output)
    assert done.code == 0, done.err
    header = read(output / "run.json")
    settings, facts = header["settings"], header["environment"]
    assert (settings["limit"], settings["sweep"], settings["decoding"]["stop_token_ids"]) == (1, {"gamma": [2, 4]}, [7])
    assert settings["decoding"]["ignore_eos"] is True and settings["decoding"]["temperature"] == 0
    assert facts["experiment"] == {"file": str(path), "text": text}
    assert list(facts["methods"]) == ["as", "sps gamma=2", "sps gamma=4"]
    again = run("bench", path, "--limit", 1, "--gamma", 3, "--output", tmp_path / "other")
    assert again.code == 0 and list(read(tmp_path / "other" / "summary.json")["overall"]) == ["as", "sps"]


def test_a_text_in_a_file_is_not_split_at_its_commas(run: Run, pair: Pair, tmp_path: Path) -> None:
    odd = save_opt(tmp_path / "one, two", hidden=8)
    path = write(tmp_path, f"target = '{pair.target}'\ndraft = '{odd}'\n")
    done = run("bench", path, *TINY, "--methods", "as,sps", "--output", tmp_path / "run")
    assert done.code == 0, done.err
    assert list(read(tmp_path / "run" / "summary.json")["overall"]) == ["as", "sps"]


def test_the_experiments_that_ship_are_what_they_say() -> None:
    from draftwise.bench.cells import make_cells
    from draftwise.bench.experiment import Several, expand, read_experiment
    from draftwise.bench.settings import BenchSettings
    from draftwise.cli.bench import command
    from draftwise.cli.options import experiment_values, keys_of
    from draftwise.options import DecodingOptions

    folder = Path(__file__).parents[2] / "experiments"
    counts = {}
    for path in folder.glob("*.toml"):
        values = experiment_values(read_experiment(path, keys_of(command)), BenchSettings, DecodingOptions)
        given = {name: v[0] if isinstance(v, Several) and len(v) == 1 else v for name, v in values.items()}
        (planned,) = expand(given | {"methods": ("as", "sps", "bild")})
        counts[path.name] = len(make_cells(planned.settings))
    assert counts == {"builtin.toml": 1 + 3 + 9, "opt-6.7b.toml": 1 + 2 + 18}


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--gamma", "2,0", ("'--gamma'", "at least 1", "not 0")),
        ("--gamma", "2,,4", ("'--gamma'", "integer")),
        ("--gamma", "2,4,2", ("'--gamma'", "different values", "2,4,2")),
        ("--gamma", ",", ("'--gamma'", "integer")),
        ("--fallback-threshold", "0.5,1.5", ("'--fallback-threshold'", "at most 1", "1.5")),
        ("--rollback-threshold", "3,3.0", ("'--rollback-threshold'", "different values")),
        ("--temperature", "0,nan", ("'--temperature'", "at least 0", "nan")),
        ("--draft", "builtin,builtin", ("'--draft'", "different values")),
        ("--target", "builtin,", ("'--target'", "a name or a path")),
        ("--dtype", "float32,int3", ("'int3'", "float32", "bfloat16")),
        ("--draft-dtype", "int3", ("'int3'", "float32")),
        ("--implementation", "theirs", ("'theirs'", "auto, own, transformers")),
        ("--draft-implementation", "own,theirs", ("'theirs'", "auto, own, transformers")),
        ("--backend", "plain,fast", ("'fast'", "auto, native, packed, triton, plain")),
        ("--draft-backend", "fast", ("'fast'", "native")),
        ("--truncate", "right", ("'--truncate'", "none, left", "right")),
        ("--suite", "standard,builtin", ("standard,builtin", "choose from")),
        ("--limit", "1,2", ("'--limit'", "integer")),
        ("--prefill-chunk", "0", ("'--prefill-chunk'", "at least 1")),
        ("--data", "no-such-file.jsonl", ("no-such-file.jsonl",)),
        ("--chat-template", "no-such-file.jinja", ("no-such-file.jinja",)),
        ("--draft", "builtin,no/such/model", ("no/such/model",)),
    ],
)
def test_a_bad_list_or_name(run: Run, tmp_path: Path, option: str, text: str, words: tuple[str, ...]) -> None:
    run("bench", option, text, "--output", tmp_path / "run").refused_with(*words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gama = 2", ("unknown key 'gama'", "did you mean 'gamma'")),
        ("fallback-treshold = 0.5", ("unknown key", "did you mean 'fallback_threshold'")),
        ("decoding = 1", ("unknown key 'decoding'",)),
        ("experiment = 'x'", ("unknown key 'experiment'",)),
        ("gamma = 'four'", ("gamma must be a whole number or a list of them, not 'four'",)),
        ("gamma = '4'", ("gamma must be a whole number",)),
        ("gamma = 4.0", ("gamma must be a whole number", "4.0")),
        ("gamma = true", ("gamma must be a whole number", "True")),
        ("gamma = []", ("gamma must have at least one value",)),
        ("gamma = [2, [4]]", ("gamma must be a whole number", "[4]")),
        ("gamma = [2, 0]", ("gamma must be a whole number of at least 1, not 0",)),
        ("gamma = [2, 2]", ("gamma must have different values",)),
        ("temperature = '0'", ("temperature must be a number",)),
        ("fallback_threshold = [0.5, nan]", ("fallback_threshold must be a number", "nan")),
        ("ignore_eos = 'yes'", ("ignore_eos must be true or false", "'yes'")),
        ("ignore_eos = 1", ("ignore_eos must be true or false",)),
        ("limit = [1, 2]", ("limit must be a whole number, not [1, 2]",)),
        ("limit = 1979-05-27", ("limit must be a whole number",)),
        ("target = 3", ("target must be a text",)),
        ("methods = ['as', 3]", ("methods must be a text", "3")),
        ("methods = ['as', 'magic']", ("'magic'", "as, as*, sps, bild")),
        ("stop_token_ids = ['x']", ("stop_token_ids must be a whole number", "'x'")),
        ("suite = ['builtin']", ("suite must be a text",)),
        ("output = false", ("output must be a text",)),
        ("gamma = 2\ngamma = 3", ("not valid TOML", "line 2")),
        ("gamma == 2", ("not valid TOML", "line 1, column 8")),
        ("[sweep]\ngamma = 2", ("[sweep] is a table",)),
        ("max-new-tokens = 3\nmax_new_tokens = 3", ("a second time",)),
    ],
)
def test_a_bad_experiment(run: Run, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    run("bench", write(tmp_path, text), "--output", tmp_path / "run").refused_with(*words)
    assert not (tmp_path / "run").exists()


def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    run("bench", tmp_path / "none.toml").refused_with("none.toml", "No such file")
    run("bench", tmp_path).refused_with(str(tmp_path), "directory")


def test_all_models_are_found_before_the_first_run_begins(run: Run, pair: Pair, tmp_path: Path) -> None:
    targets = f"{pair.target},no/such/model"
    done = run("bench", "--target", targets, "--draft", pair.draft, *TINY, "--output", tmp_path / "run")
    done.refused_with("no/such/model")
    assert not (tmp_path / "run").exists()


def test_a_stop_ends_the_whole_experiment_and_leaves_nothing_before_the_first_sample(
    run: Run, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "signal", "SIGTERM") or self)
    done = run("bench", *pair.options, *TINY, "--max-new-tokens", "4,5", "--output", tmp_path / "run")
    assert (done.code, done.out) == (128 + 15, "")
    assert done.err.count("stopped by SIGTERM before the first sample") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_of_an_earlier_experiment_is_never_written_over(run: Run, pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "02-seed=1").mkdir()
    (tmp_path / "02-seed=1" / "records.jsonl").write_text("precious")
    run("bench", *pair.options, *TINY, "--seed", "0,1", "--output", tmp_path).refused_with(
        "02-seed=1", "holds records.jsonl"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["02-seed=1"]


def test_prompts_too_long_are_told_before_the_run_and_in_the_report(run: Run, pair: Pair, tmp_path: Path) -> None:
    small = save_opt(tmp_path / "small", positions=128)
    lines = [json.dumps({"prompt": "x" * size}) for size in (20, 200, 125)]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    options = ("--target", small, "--draft", pair.draft, "--data", tmp_path / "own.jsonl", "--repeats", 1)
    done = run("bench", *options, "--max-new-tokens", 4, "--output", tmp_path / "run")
    assert done.code == 0, done.err
    said = "2 of 3 prompts left out; the first is"
    assert said in done.err and said in done.out
    assert read(tmp_path / "run" / "summary.json")["planned_samples"] == 4
    cut = run("bench", *options, "--max-new-tokens", 4, "--truncate", "left", "--output", tmp_path / "cut")
    assert cut.code == 0, cut.err
    assert "2 prompts cut at the front to fit the context, by 76 tokens at most." in " ".join(cut.out.split())
    assert read(tmp_path / "cut" / "summary.json")["planned_samples"] == 12


def test_a_draft_that_prompts_outgrow_is_told(run: Run, pair: Pair, tmp_path: Path) -> None:
    small = save_opt(tmp_path / "small", positions=128)
    (tmp_path / "own.txt").write_text("x" * 20 + "\n" + "y" * 150 + "\n")
    options = ("--target", pair.target, "--draft", small, "--data", tmp_path / "own.txt", "--repeats", 1)
    done = run("bench", *options, "--max-new-tokens", 4, "--output", tmp_path / "run")
    assert done.code == 0, done.err
    assert f"1 of 2 prompts outgrow the context of 128 of the draft {small}" in done.err
    assert read(tmp_path / "run" / "summary.json")["overall"]["sps"]["agreement"] == 1


@pytest.mark.parametrize(("option", "values", "loads"), [("--seed", "0,1", 1), ("--dtype", "float32,float64", 2)])
def test_models_are_loaded_again_only_where_they_differ(
    run: Run, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, values: str, loads: int
) -> None:
    from draftwise.engine import Engine

    loaded, load_all = [], Engine.load_all
    monkeypatch.setattr(Engine, "load_all", lambda pairing: loaded.append(pairing) or load_all(pairing))
    done = run("bench", *pair.options, *TINY, "--methods", "as,sps", option, values, "--output", tmp_path / "run")
    assert done.code == 0, done.err
    assert len(loaded) == loads and done.err.count("memory") == 2


def test_a_chat_template_shapes_every_turn(run: Run, pair: Pair, tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{% for message in messages %}{{ message.role }}: {{ message.content }}|{% endfor %}")
    (tmp_path / "own.jsonl").write_text(json.dumps({"turns": ["Hello", "And then?"]}))
    options = (*pair.options, "--data", tmp_path / "own.jsonl", "--repeats", 1, "--max-new-tokens", 4)
    plain = run("bench", *options, "--methods", "as", "--output", tmp_path / "plain")
    chat = run("bench", *options, "--methods", "as", "--chat-template", template, "--output", tmp_path / "chat")
    assert (plain.code, chat.code) == (0, 0), chat.err
    names = ("plain", "chat")
    first = {name: min(record.prompt_tokens for record in read_samples(tmp_path / name)) for name in names}
    assert first == {"plain": len("Hello"), "chat": len("user: Hello|")}
    assert "chat template's form" in " ".join(chat.out.split()) and "chat template" not in plain.out
    template.write_text("{{ nonsense(")
    run("bench", *options, "--chat-template", template, "--output", tmp_path / "bad").refused_with("chat.jinja")


def test_a_bench_without_a_prompt_that_fits_is_refused_in_one_line(run: Run, pair: Pair, tmp_path: Path) -> None:
    small = save_opt(tmp_path / "small", positions=32)
    (tmp_path / "own.txt").write_text("x" * 40 + "\n")
    options = ("--target", small, "--draft", pair.draft, "--data", tmp_path / "own.txt", "--output", tmp_path / "run")
    run("bench", *options).refused_with("none of 1 prompts", "of 40 tokens", "takes 1 to 2 beside 30 new ones")
    assert not (tmp_path / "run").exists()
