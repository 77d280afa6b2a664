"""What an answer to a request for a range promises, and which answers are refused before a byte of them is read.

RFC 9110, sections 14 and 15.3.7: a server may ignore a range and send the whole file with status 200. Of a shard of
4 GB nobody wants that, so only 206 is taken, or a file that is no longer than what was asked for.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, NamedTuple

from weightlint.errors import UsageError
from weightlint.finding import printable
from weightlint.remote.patience import wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

AGAIN = frozenset({408, 425, 429, *range(500, 600)} - {501, 505})
"""Statuses after which the same request may succeed."""

_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_NONE_OF = re.compile(r"bytes \*/(\d{1,19})")


class AgainError(Exception):
    """An answer is of no use, the next one may be; `after` are the seconds that the server asked us to wait."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class RangesIgnoredError(UsageError):
    """The server sends whole files whatever it is asked for."""


class Promise(NamedTuple):
    """The answer has `length` bytes from `start` on, and the file `total`; None where only the end of the answer tells."""

    start: int
    length: int | None
    total: int | None


def promised(status: int, headers: Mapping[str, str], start: int, stop: int) -> Promise:
    """Return what an answer to a request for the bytes [start, stop) promises.

    Raises:
        AgainError: it is worth asking again.
        OSError: it is not.
        RangesIgnoredError: the server would send more than was asked for.
    """
    if status in AGAIN:
        message = f"the server answered {status}"
        raise AgainError(message, wanted(headers))
    if status in {404, 410}:
        raise FileNotFoundError(errno.ENOENT, f"is not there: the server answered {status}")
    if status in {401, 403}:
        raise PermissionError(errno.EACCES, f"no permission: the server answered {status}")
    if status == 416:
        return Promise(start, 0, _nothing(headers, start))
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        message = f"the server sends {printable(encoding, limit=40)} though it was asked for plain bytes"
        raise refused(message)
    if status == 206:
        return _part(headers, start, stop)
    if status == 200:
        return _whole(headers, stop)
    message = f"the server answered {status}"
    raise refused(message)


def refused(why: str) -> ConnectionError:
    """Return the error of a server that is of no use for this file."""
    return ConnectionError(errno.EPROTO, why)


def ignored(size: int | None) -> RangesIgnoredError:
    """Return the error of a server that sends whole files."""
    whole = f"all {size:,} bytes of a file" if size is not None else "a whole file"
    message = (
        f"the server ignores the range that it is asked for and would send {whole} (status 200, not 206): "
        "download the files, or serve them by a server that knows ranges"
    )
    return RangesIgnoredError(message)


def _part(headers: Mapping[str, str], start: int, stop: int) -> Promise:
    said = headers.get("Content-Range", "")
    match = _RANGE.fullmatch(said.strip())
    if match is None:
        message = f"the server answered 206 with the range '{printable(said, limit=60)}', asked were {start}-{stop - 1}"
        raise refused(message)
    if match[3] == "*":
        message = "the server does not say how many bytes the file has"
        raise refused(message)
    first, last, total = int(match[1]), int(match[2]), int(match[3])
    if first != start or not first <= last < min(stop, total):
        message = (
            f"the server sends bytes {first:,}-{last:,} of {match[3]}, asked were {start:,}-{stop - 1:,}"
        )
        raise refused(message)
    return Promise(start, last + 1 - first, total)


def _whole(headers: Mapping[str, str], stop: int) -> Promise:
    length = headers.get("Content-Length", "").strip()
    if length.isdecimal() and length.isascii():
        size = int(length[:20])
        if size > stop:
            raise ignored(size)
        return Promise(0, size, size)
    if headers.get("Transfer-Encoding", "").strip().lower() != "chunked":
        # without a length, a connection that broke looks like a file that ended
        raise ignored(None)
    return Promise(0, None, None)


def _nothing(headers: Mapping[str, str], start: int) -> int:
    """Return the size of a file that has no byte of a range."""
    match = _NONE_OF.fullmatch(headers.get("Content-Range", "").strip())
    size = int(match[1]) if match else 0
    if size > start or (match is None and start):
        message = f"the server says that there is no byte {start:,}"
        raise refused(message)
    return size
