"""From the name of a model to its directory: a local one, or one that the Hugging Face Hub's client keeps in its cache.

The client reads its usual variables by itself: HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_ENDPOINT.
"""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Callable
from pathlib import Path

from draftwise.errors import DraftwiseError, one_line
from draftwise.models.files import existing_directory, read_json
from draftwise.models.shards import KINDS, expect_weight_files

_SUFFIXES = (".json", ".jinja", ".model", ".tiktoken")
_NAMES = ("vocab.txt", "merges.txt")
_INDEX = ".index.json"
_LOGIN = "set HF_TOKEN or run `hf auth login`"


Judge = Callable[[Path], object]
"""Raises a DraftwiseError where the model of a directory, of which the weights may be missing yet, is of no use."""


def find_directory(name: str, revision: str | None = None, judge: Judge = lambda directory: None) -> Path:
    """The directory of a model, fetched from the Hub where the name is no local path.

    Args:
        name: a local directory, or a Hub id, ``name`` or ``org/name``.
        revision: a branch, tag or commit of the Hub's repository; its main branch unless given.
        judge: called before a weight is fetched from the Hub, so that nothing large is fetched in vain.

    Raises:
        DraftwiseError: where there is no such directory or model, it may not be read, or can't be fetched.
    """
    if os.path.exists(name):
        if revision is not None:
            raise DraftwiseError(
                f"{name!r} is a local path, which has no revision {revision!r}; leave the revision out"
            )
        return existing_directory(name)
    if not _may_be_an_id(name):
        return existing_directory(name)
    try:
        return _fetch(name, revision, judge)
    except DraftwiseError:
        raise
    except Exception as error:  # whatever the client's HTTP library raises, and which one it is depends on its version
        cached = _cached_directory(name, revision)
        if cached is None or _denies(error):
            raise _explain(name, revision, error) from None
        return _whole(name, cached, error)


def _may_be_an_id(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if os.path.isabs(name) or name.startswith((".", "~")):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _fetch(name: str, revision: str | None, judge: Judge) -> Path:
    """Download what is wanted of a repository, or find it unchanged in the cache."""
    from huggingface_hub import HfApi, snapshot_download

    listed = HfApi().model_info(name, revision=revision)
    files = [file.rfilename for file in listed.siblings or ()]
    weights = _weights(name, files, listed.sha)

    def fetch(wanted: list[str]) -> Path:
        patterns = [glob.escape(file) for file in wanted]
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))

    judge(fetch(_small(files)))
    return fetch(weights)


def _small(files: list[str]) -> list[str]:
    """The files of a repository's top folder that say what the model is, and its tokenizer."""
    small = [file for file in files if file.endswith(_SUFFIXES) or file in _NAMES]
    return [file for file in small if "/" not in file and not file.endswith(_INDEX)]


def _weights(name: str, files: list[str], commit: str | None) -> list[str]:
    """The files that hold the weights: those of one kind, and no weights twice."""
    for kind in KINDS:
        if kind.single in files:
            return [kind.single]
        if kind.names in files:
            return [kind.names, *_indexed(name, kind.names, commit)]
    wanted = " nor ".join(kind.single for kind in KINDS)
    raise DraftwiseError(f"the model {name!r} on the Hub has no {wanted}, whole or in shards; choose another model")


def _indexed(name: str, index: str, commit: str | None) -> list[str]:
    from huggingface_hub import hf_hub_download

    weight_map = read_json(Path(hf_hub_download(name, index, revision=commit))).get("weight_map")
    return sorted({str(file) for file in weight_map.values()}) if isinstance(weight_map, dict) else []


def _cached_directory(name: str, revision: str | None) -> Path | None:
    """Where an earlier download of the same revision lies, whole or not."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def _denies(error: Exception) -> bool:
    """Whether the Hub itself said no, so that an older copy must not stand in for the answer."""
    from huggingface_hub.errors import RevisionNotFoundError

    return isinstance(error, RevisionNotFoundError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def _whole(name: str, directory: Path, error: Exception) -> Path:
    try:
        expect_weight_files(directory)
    except DraftwiseError as lack:
        reason = str(lack).split(";")[0]
        raise DraftwiseError(
            f"the model {name!r} is only partly in the cache ({reason}), and the rest can't be fetched "
            f"({_reason(error)}); connect, unset HF_HUB_OFFLINE and try again"
        ) from None
    return directory


def _explain(name: str, revision: str | None, error: Exception) -> DraftwiseError:
    from huggingface_hub import errors

    model = f"the model {name!r}"
    if isinstance(error, errors.GatedRepoError):
        return DraftwiseError(f"{model} is gated; ask for access on its page on the Hub, then {_LOGIN}")
    if isinstance(error, errors.RepositoryNotFoundError):
        hint = f"check the name, or, if it is private, {_LOGIN}"
        return DraftwiseError(f"no directory {name!r}, and no such model on the Hugging Face Hub; {hint}")
    if isinstance(error, errors.RevisionNotFoundError):
        return DraftwiseError(f"{model} has no revision {revision!r}; give a branch, tag or commit of it")
    if isinstance(error, errors.OfflineModeIsEnabled):
        hint = "unset it, or give a directory"
        return DraftwiseError(f"no directory {name!r}, and {model} isn't in the cache, with HF_HUB_OFFLINE set; {hint}")
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return DraftwiseError(f"no room on the disk for {model}; free some, or point HF_HOME to a larger one")
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        hint = f"check your token: {_LOGIN}" if status in (401, 403) else "try again later"
        return DraftwiseError(f"the Hub refused {model} (HTTP status {status}); {hint}")
    if isinstance(error, OSError) and error.filename is not None:
        return DraftwiseError(f"can't store {model} ({error.strerror}: {error.filename!r}); point HF_HOME elsewhere")
    hint = "check the network (and HF_ENDPOINT, if set), or give a directory"
    return DraftwiseError(f"no directory {name!r}, and can't fetch {model} from the Hub ({_reason(error)}); {hint}")


def _reason(error: Exception) -> str:
    """The first sentence of what the client says."""
    return one_line(error).split(". ")[0]
