"""How a Hugging Face repository is written: hf://org/model@revision/path, or as a page of the web."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from weightlint.errors import UsageError
from weightlint.finding import printable

HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})

_OTHERS = ("datasets", "spaces", "kernels", "buckets")
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_TARGET = re.compile(
    rf"hf://(?:models/)?(?P<id>{_PART}(?:/{_PART})?)(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?(?P<path>/.*)?",
    re.DOTALL,
)
_PAGE = re.compile(
    rf"/(?P<id>{_PART}/{_PART})(?:/(?:tree|blob|resolve)/(?P<revision>refs/pr/\d+|[^/]+)(?P<path>/.*)?)?/?",
    re.DOTALL,
)


class Repository(NamedTuple):
    """A repository of a model, the revision that is asked for (None for main), and a path in it."""

    id: str
    revision: str | None = None
    path: str = ""

    def __str__(self) -> str:
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return printable(f"hf://{self.id}{revision}{f'/{self.path}' if self.path else ''}")


def parse(target: str) -> Repository:
    """Read an address that begins with hf://.

    Raises:
        UsageError: it is of no model.
    """
    match = _TARGET.fullmatch(target)
    if match is None or match["id"].partition("/")[0] in _OTHERS:
        message = f"{printable(target)} is no model: write hf://org/model, hf://org/model@revision or hf://org/model/folder"
        raise UsageError(message)
    return _repository(match)


def page(url: str) -> Repository | None:
    """Read the address of a page of the hub, None for any other."""
    parts = urlsplit(url)
    own = urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc
    if parts.netloc.lower() not in HOSTS | ({own} if own else set()):
        return None
    match = _PAGE.fullmatch(parts.path)
    if match is None or match["id"].partition("/")[0] in {*_OTHERS, "api"}:
        return None
    found = _repository(match)
    return found._replace(path=unquote(found.path))


def _repository(match: re.Match[str]) -> Repository:
    revision = match["revision"]
    path = (match["path"] or "").strip("/")
    return Repository(match["id"], unquote(revision) if revision else None, path)
