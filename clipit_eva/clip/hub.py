"""Files of Hugging Face repositories: the local cache first, then the hub."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors

from clipit_eva.errors import InputError

_PAGE = "https://huggingface.co"


def download(repository: str, names: Sequence[str]) -> Path | None:
    """Returns a local copy of the first of some files that a repository has.

    A cached copy is taken without asking the hub, so that cached models need neither network nor
    token and do not change between two runs. An access token is taken from `HF_TOKEN` (or from
    `hf auth login`), as everywhere in `huggingface_hub`. `None` is returned if it has none of them.

    Raises:
        InputError: The repository does not exist, is gated, or cannot be reached.
    """
    with _one_line_errors(repository):
        for name in names:
            cached = huggingface_hub.try_to_load_from_cache(repository, name)
            if isinstance(cached, str):
                return Path(cached)
        for name in names:
            with contextlib.suppress(errors.RemoteEntryNotFoundError):
                return Path(huggingface_hub.hf_hub_download(repository, name))
    return None


def download_folder(repository: str, patterns: Sequence[str], *, needed: str) -> Path:
    """Returns a folder in the cache with the files of a repository that match glob patterns.

    Where the file `needed` is in the cache, the folder is complete and the hub is not asked.

    Raises:
        InputError: The repository does not exist, is gated, or cannot be reached.
    """
    with _one_line_errors(repository):
        cached = huggingface_hub.try_to_load_from_cache(repository, needed)
        if isinstance(cached, str):
            return Path(cached).parent
        return Path(huggingface_hub.snapshot_download(repository, allow_patterns=list(patterns)))


@contextlib.contextmanager
def _one_line_errors(repository: str) -> Iterator[None]:
    """Turns the hub's errors into one that says what to do."""
    try:
        yield
    except errors.HFValidationError as error:
        raise InputError(
            f"{repository!r} is not a Hugging Face repository name (organisation/name)"
        ) from error
    except errors.GatedRepoError as error:
        raise InputError(
            f"{repository} is gated: accept its terms at {_PAGE}/{repository}, then set HF_TOKEN "
            "to an access token of that account"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"no repository {repository} on the Hugging Face hub, or it is private: see "
            f"{_PAGE}/{repository}, check the name, and set HF_TOKEN if it is private"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise InputError(
            f"{repository} is not in the local Hugging Face cache and the hub cannot be reached: "
            f"run `hf download {repository}` where there is a network, or unset HF_HUB_OFFLINE"
        ) from error
    except OSError as error:  # HTTP errors, a full disk, a cache that cannot be written
        raise InputError(f"{repository} could not be downloaded: {error}") from error
