"""Hugging Face repositories: hf://org/model, hf://org/model@revision, with a folder or file behind it.

One commit is read, the one that the revision names when the run begins. Listing, token (HF_TOKEN, `hf auth login`)
and endpoint (HF_ENDPOINT) are those of huggingface_hub.
"""

from __future__ import annotations

import errno
import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weightlint.digest import GIT_SHA1, SHA256
from weightlint.errors import UsageError
from weightlint.finding import printable
from weightlint.hub_layout import is_commit
from weightlint.remote import patience
from weightlint.remote.address import Address
from weightlint.remote.answer import AGAIN
from weightlint.remote.hub_address import Repository, parse
from weightlint.remote.site import Entry, Listing, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weightlint.store import Opener, Store

_HEX = {SHA256: re.compile(r"[0-9a-f]{64}"), GIT_SHA1: re.compile(r"[0-9a-f]{40}")}


@dataclass(frozen=True, slots=True)
class Hub:
    """A folder of a repository at one commit; `tree` is by path in the folder."""

    repository: Repository
    commit: str | None
    tree: Mapping[str, Entry] = field(repr=False)

    @property
    def name(self) -> str:
        """Return the address with the commit."""
        return str(self.repository)

    @property
    def origin(self) -> str:
        """Return what says the hashes of the listing."""
        return f"the Hugging Face hub at commit {(self.commit or '')[:12]}"

    def list(self, folder: str) -> Listing:
        """List one folder."""
        return listed(self.tree, folder)

    def address(self, path: str) -> Address:
        """Return where the hub resolves a file; it redirects to where the bytes are."""
        from huggingface_hub import get_token, hf_hub_url

        url = hf_hub_url(
            self.repository.id,
            f"{self.repository.path}/{path}".lstrip("/"),
            revision=self.commit,
            endpoint=_endpoint(),
        )
        token = get_token()
        return Address(url, {"Authorization": f"Bearer {token}"} if token else {})

    def denied(self, path: str, error: PermissionError) -> Exception:
        """Return what a gated repository says of every file in it."""
        message = (
            f"{self.name}: {printable(path)}: {error.strerror}. The repository is gated or private: accept its "
            "terms on its page, and set HF_TOKEN to a token that may read it"
        )
        return UsageError(message)


@dataclass(frozen=True, slots=True)
class Hubs:
    """What opens hf://."""

    schemes: tuple[str, ...] = ("hf",)

    def open(self, target: str) -> tuple[Store, str]:
        """Return the folder at the commit, and the name of the file where the target is one."""
        from huggingface_hub import HfApi

        asked = parse(target)
        api = HfApi(endpoint=_endpoint(), library_name="weightlint")
        commit = _patient(lambda: api.model_info(asked.id, revision=asked.revision).sha, asked)
        if not is_commit(str(commit)):
            raise ConnectionError(errno.EPROTO, "the hub does not say at which commit the model is")
        rows = _patient(lambda: [*api.list_repo_tree(asked.id, recursive=True, revision=commit)], asked)
        return _opened(asked, commit, {row.path: _entry(row) for row in rows if _is_file(row)})


def _opened(asked: Repository, commit: str, tree: Mapping[str, Entry]) -> tuple[Store, str]:
    from weightlint.remote.store import RemoteStore

    folder, _, name = asked.path.rpartition("/")
    if asked.path not in tree:
        folder, name = asked.path, ""
    prefix = f"{folder}/" if folder else ""
    below = {path[len(prefix) :]: entry for path, entry in tree.items() if path.startswith(prefix)}
    if not below:
        raise FileNotFoundError(errno.ENOENT, f"no such file or folder at commit {commit[:12]}")
    return RemoteStore(Hub(Repository(asked.id, commit, folder), commit, below)), name


def _is_file(row: Any) -> bool:
    return hasattr(row, "blob_id") and type(row.size) is int and row.size >= 0


def _entry(row: Any) -> Entry:
    """Read a row of a tree: large files are named by their sha256, small ones by git's hash."""
    algorithm, value = (SHA256, row.lfs.sha256) if row.lfs else (GIT_SHA1, row.blob_id)
    sound = isinstance(value, str) and _HEX[algorithm].fullmatch(value) is not None
    return Entry(row.size, value, fixed=True, digest=(algorithm, value)) if sound else Entry(row.size)


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _patient(ask: Callable[[], Any], asked: Repository) -> Any:
    """Ask the hub, again where that may help.

    Raises:
        UsageError: no such repository or revision, or no permission.
        OSError: the hub cannot be asked.
    """
    for tries in range(1, patience.TRIES + 1):
        try:
            return ask()
        except Exception as error:
            status, after = _status(error)
            if tries == patience.TRIES or (status is not None and status not in AGAIN):
                raise _meant(error, status, asked) from error
            time.sleep(min(patience.delay(tries, after), patience.PATIENT))
    raise AssertionError


def _status(error: Exception) -> tuple[int | None, float | None]:
    """Return the status of the hub's answer and the seconds it asks us to wait, None where there is none.

    Errors without an answer are of the connection, and may pass; a name that cannot be is not found.
    """
    reply = getattr(error, "response", None)
    if reply is None:
        return (404 if isinstance(error, ValueError) else None), None
    return int(reply.status_code), patience.wanted(reply.headers)


def _meant(error: Exception, status: int | None, asked: Repository) -> Exception:
    kind = type(error).__name__
    if kind == "RevisionNotFoundError":
        return UsageError(f"{asked}: the repository has no revision {printable(asked.revision or 'main')}")
    if status in {401, 403, 404}:
        return UsageError(
            f"{asked}: no such model, or it is private: set HF_TOKEN to a token that may read it"
        )
    if status is not None:
        return UsageError(f"{asked}: the hub answered {status}")
    return ConnectionError(errno.EIO, f"the hub cannot be asked ({kind})")


STORE: Opener = Hubs()
