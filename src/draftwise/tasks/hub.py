"""Prompts from a data set of the Hugging Face Hub, or from a directory in its layout, through the ``datasets`` library.

Rows are streamed, so that no more of them are read than are asked for. Code of a repository never runs: the library
reads data files only.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from draftwise.errors import DraftwiseError, one_line, unknown_name
from draftwise.tasks.prompts import Prompt, Suite, check_subtask
from draftwise.tasks.rows import CUSTOM, Row, gather, read_text
from draftwise.tasks.sources import SuiteSource
from draftwise.tasks.templates import Field, as_text, parse_field

PREFIX = "hf:"
HUB_FORM = "hf:NAME[:CONFIG][:SPLIT]"
SPLITS = ("test", "validation", "train")  # where no split is named, the first of these that there is


@dataclass(frozen=True, slots=True)
class HubSuite:
    """A data set whose columns are known.

    Attributes:
        dataset: its id on the Hub.
        config: which part of the data set.
        split: which split of it.
        prompt: a template over its columns.
        reference: the column with the right answer.
        subtask: what its prompts are.
        licence: what its card says.
    """

    dataset: str
    config: str
    split: str
    prompt: str
    reference: str
    subtask: str
    licence: str

    @property
    def name(self) -> str:
        """The data set in the form that ``parse_name`` reads."""
        return f"{PREFIX}{self.dataset}:{self.config}:{self.split}"


HUB_SUITES: dict[str, HubSuite] = {
    # Napoles et al. 2017: sentences of learners, each with four corrections.
    "jfleg": HubSuite(
        dataset="jhu-clsp/jfleg",
        config="default",
        split="test",
        prompt="Rewrite the sentence so that it is correct, fluent English.\nSentence: {sentence}\nCorrected:",
        reference="corrections",
        subtask="grammar correction",
        licence="CC BY-NC-SA 4.0",
    ),
    # Butler 2023: questions about a passage of at most 384 tokens of an Australian statute or decision.
    "legal-qa": HubSuite(
        dataset="isaacus/open-australian-legal-qa",
        config="default",
        split="train",
        prompt="Read this passage of {source.citation}.\n\n{source.text}\n\nQuestion: {question}\nAnswer:",
        reference="answer",
        subtask="law analytics",
        licence="that of the Open Australian Legal Corpus, in part non-commercial",
    ),
}


class HubName(NamedTuple):
    """The parts of ``hf:NAME[:CONFIG][:SPLIT]``; a single one after the name may be either."""

    dataset: str
    parts: tuple[str, ...]


def parse_name(name: str) -> HubName:
    """Take ``hf:NAME[:CONFIG][:SPLIT]`` apart; a directory that is there goes before a name of the Hub.

    Raises:
        DraftwiseError: no name, or too many parts.
    """
    dataset, *parts = name.removeprefix(PREFIX).split(":")
    if not dataset.strip() or len(parts) > 2:
        raise DraftwiseError(f"suite {name!r} must be of the form {HUB_FORM}")
    local = os.path.expanduser(dataset)
    return HubName(os.path.abspath(local) if os.path.isdir(local) else dataset, tuple(parts))


def load_hub(source: SuiteSource, limit: int | None) -> Suite:
    """The prompts of the data set that ``source.name`` names, all of one subtask.

    Raises:
        DraftwiseError: the data set can't be read, a column isn't there, or a row holds no prompt.
    """
    return _load(source, limit, CUSTOM)


def load_known(suite: str, source: SuiteSource, limit: int | None) -> Suite:
    """The prompts of a row of ``HUB_SUITES``; see ``load_hub``."""
    row = HUB_SUITES[suite]
    fields = replace(source, name=row.name, prompt_field=row.prompt, reference_field=row.reference)
    return _load(fields, limit, row.subtask)


def _load(source: SuiteSource, limit: int | None, subtask: str) -> Suite:
    hub = parse_name(source.name)
    prompt = None if source.prompt_field is None else parse_field(source.prompt_field)
    reference = None if source.reference_field is None else parse_field(source.reference_field)
    with _translated(hub.dataset):
        library = _library()
        split, rows = _choose(library, hub)
        known = rows.column_names or list(next(iter(rows), {}))
        if prompt is None:
            raise DraftwiseError(f"suite {source.name!r} needs --prompt-field; the columns are: {', '.join(known)}")
        columns = [column for field in (prompt, reference) if field is not None for column in field.columns(known)]
        read = partial(_read_row, prompt=prompt, reference=reference, split=split, subtask=check_subtask(subtask))
        return gather(
            enumerate(rows.select_columns(list(dict.fromkeys(columns))), 1),
            read, origin=source.name, unit="row", skip=source.skip_bad_lines, limit=limit, patience=1,
        )  # fmt: skip


def _read_row(row: Row, number: int, *, prompt: Field, reference: Field | None, split: str, subtask: str) -> Prompt:
    answers = () if reference is None else _answers(reference.value(row), reference.label)
    return Prompt(
        id=f"{split}-{number}",
        subtask=subtask,
        turns=(read_text(as_text(prompt.value(row), prompt.label), prompt.label),),
        references=answers[:1],
        alternatives=(answers[1:],) if answers[1:] else (),
    )


def _answers(value: Any, name: str) -> tuple[str, ...]:
    """The right answers, those that are empty or stand twice left out."""
    values = value if isinstance(value, list) else [value]
    texts = [as_text(item, name) for item in values if item is not None]
    return tuple(dict.fromkeys(read_text(text, name) for text in texts if text.strip()))


def _choose(library: ModuleType, hub: HubName) -> tuple[str, Any]:
    """The split that is meant and its rows."""
    if hub.dataset.isidentifier() and importlib.util.find_spec(f"datasets.packaged_modules.{hub.dataset}"):
        # the library would read whatever files of this format lie about
        raise DraftwiseError(f"{hub.dataset!r} is a format, no data set; name the directory of the files")
    configs: list[str] = library.get_dataset_config_names(hub.dataset)
    config, split = _config_and_split(library, hub, configs)
    is_cached = library.config.HF_HUB_OFFLINE and not os.path.isdir(hub.dataset)  # the cache can't be streamed
    splits: Mapping[str, Any] = library.load_dataset(hub.dataset, config, streaming=not is_cached)
    if not split:
        split = next((name for name in SPLITS if name in splits), next(iter(splits)))
    if split not in splits:
        what = "config or split" if len(hub.parts) == 1 else "split"
        known = [*configs, *splits] if len(hub.parts) == 1 else splits
        raise unknown_name(f"{what} of {hub.dataset}:", split, known)
    return split, splits[split]


def _config_and_split(library: ModuleType, hub: HubName, configs: list[str]) -> tuple[str, str]:
    config, split = hub.parts if len(hub.parts) == 2 else ("", *hub.parts, "")[:2]
    if len(hub.parts) == 1 and split in configs:
        config, split = split, ""
    if not config:
        config = configs[0] if len(configs) == 1 else library.get_dataset_default_config_name(hub.dataset) or ""
    if not config:
        raise DraftwiseError(f"data set {hub.dataset!r} has several configs; name one: {', '.join(configs)}")
    if config not in configs:
        raise unknown_name(f"config of {hub.dataset}:", config, configs)
    return config, split


def _library() -> ModuleType:
    try:
        return importlib.import_module("datasets")
    except ImportError:
        raise DraftwiseError('reading data sets needs another package: pip install "draftwise[datasets]"') from None


@contextmanager
def _translated(dataset: str) -> Iterator[None]:
    """Turn whatever the library raises into one line, and keep its bars and warnings off the screen."""
    library = _library()
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    bars, levels = library.is_progress_bar_enabled(), [logger.level for logger in loggers]
    library.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    except DraftwiseError:
        raise
    except Exception as error:  # the library hands on what pyarrow, httpx and the file systems raise
        raise DraftwiseError(f"data set {dataset!r} can't be read: {_reason(error, dataset)}") from None
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            library.enable_progress_bars()


def _reason(error: Exception, dataset: str) -> str:
    text = one_line(error, 300)
    if dataset.startswith((".", "/", "~")) and not os.path.isdir(dataset):
        return "there is no such directory"
    if "scripts are no longer supported" in text:
        return "it needs code of its own, which draftwise doesn't run; choose one of data files"
    if "gated dataset" in text:
        return f"it is gated; ask for access at https://huggingface.co/datasets/{dataset} and set HF_TOKEN"
    if "doesn't exist on the Hub" in text:
        return "there is none of this name on the Hub; a private one needs HF_TOKEN"
    if "OfflineMode" in text:
        return "it isn't in the cache, and HF_HUB_OFFLINE forbids to ask the Hub"
    if isinstance(error, ConnectionError):
        ways_out = "check the network, name a directory, or set HF_HUB_OFFLINE=1 if it is in the cache"
        return f"the Hub can't be reached ({text}); {ways_out}"
    return f"{type(error).__name__}: {text}"
