"""The bytes of a GGUF header, one number or text after the other, read in chunks.

No length is believed before it is compared with what is left of the file. Limits as in llama.cpp
ggml/src/gguf.cpp: GGUF_MAX_STRING_LENGTH and GGUF_MAX_ARRAY_ELEMENTS.
"""

from __future__ import annotations

from struct import Struct, error
from typing import TYPE_CHECKING

from weightlint.index import FaultKind

if TYPE_CHECKING:
    from weightlint.store import Blob

CHUNK = 1 << 20
"""Bytes that are read at once at most: few reads for a vocabulary, and little memory."""

FIRST_CHUNK = 1 << 14
"""Bytes that are read next after a file's first page; every further read is four times as long.

A split model may have a thousand parts of one tensor each, and their data are not wanted.
"""

MAX_TEXT = 1 << 30
"""Bytes of a text, as llama.cpp allows."""

MAX_ITEMS = 1 << 30
"""Items of an array, as llama.cpp allows."""

REWRITE = "write the file again with llama.cpp's converter or the gguf package, or download it again"


class BadGgufError(Exception):
    """The header cannot be read on, because of what stands at byte `at` of the file, in its part `place`."""

    def __init__(
        self, message: str, at: int, kind: FaultKind = FaultKind.MALFORMED, *, place: str = ""
    ) -> None:
        super().__init__(message)
        self.at = at
        self.kind = kind
        self.place = place

    def within(self, place: str) -> BadGgufError:
        """Return this error with the part of the header in which it was met."""
        return BadGgufError(str(self), self.at, self.kind, place=place)

    @property
    def told(self) -> str:
        """Return where and what, in words that follow `the header is broken`."""
        return f"at byte {self.at:,}{', in ' if self.place else ''}{self.place}: {self}"


class Cursor:
    """A place in a header; every read moves it on.

    `head` are the first bytes of the file, as far as they have been read; reading starts at `start`.
    `order` is `<` or `>`. In version 1 counts, lengths and dimensions take 4 bytes, later 8.
    """

    __slots__ = ("at", "base", "blob", "buffer", "chunk", "lengths", "numbers", "order", "wide")

    def __init__(self, blob: Blob, head: bytes, start: int, *, order: str, version: int) -> None:
        self.blob = blob
        self.base, self.at, self.buffer = 0, start, head
        self.chunk = FIRST_CHUNK
        self.order = order
        self.wide = 4 if version == 1 else 8
        self.lengths = Struct(order + ("I" if version == 1 else "Q"))
        self.numbers = Struct(order + "I")

    @property
    def position(self) -> int:
        """Byte of the file that is read next."""
        return self.base + self.at

    @property
    def left(self) -> int:
        """Bytes up to the end of the file."""
        return self.blob.size - self.base - self.at

    def need(self, count: int) -> None:
        """Bring the next bytes into the buffer.

        Raises:
            BadGgufError: the file ends before.
        """
        if self.at + count <= len(self.buffer):
            return
        self.base, self.at = self.position, 0
        stop = min(self.blob.size, self.base + max(count, self.chunk))
        self.buffer = self.blob.read(self.base, stop) if self.base < stop else b""
        self.chunk = min(4 * self.chunk, CHUNK)
        if len(self.buffer) < count:
            message = f"{count:,} more bytes are needed, {len(self.buffer):,} are left"
            raise BadGgufError(message, self.base, FaultKind.TORN)

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        self.need(count)
        self.at += count
        return self.buffer[self.at - count : self.at]

    def number(self) -> int:
        """Return the next u32."""
        self.need(4)
        self.at += 4
        return int(self.numbers.unpack_from(self.buffer, self.at - 4)[0])

    def length(self) -> int:
        """Return the next count, length or dimension, which is not negative."""
        self.need(self.wide)
        self.at += self.wide
        return int(self.lengths.unpack_from(self.buffer, self.at - self.wide)[0])

    def text(self, limit: int) -> bytes | None:
        """Return the next text, or None where it is longer than `limit` bytes.

        Raises:
            BadGgufError: it is longer than the file, or than any text may be.
        """
        at = self.position
        size = self.length()
        self.believe(size, at)
        if size > limit:
            self.skip(size)
            return None
        return self.take(size)

    def believe(self, size: int, at: int) -> None:
        """Compare the length of a text, which stands at byte `at`, with the file and the limit."""
        if size > MAX_TEXT:
            message = f"a text of {size:,} bytes, the limit is {MAX_TEXT:,}"
            raise BadGgufError(message, at)
        left = self.blob.size - at - self.wide
        if size > left:
            message = f"a text of {size:,} bytes begins, {max(left, 0):,} are left of the file"
            raise BadGgufError(message, at, FaultKind.TORN)

    def skip(self, count: int) -> None:
        """Pass over bytes that are known to be there."""
        self.at += count
        if self.at > len(self.buffer):
            self.base, self.at, self.buffer = self.position, 0, b""

    def skip_texts(self, count: int) -> None:
        """Pass over an array of texts; only their lengths are looked at."""
        while count:
            self.need(self.wide)
            count -= self._skip_some(count)

    def _skip_some(self, count: int) -> int:
        """Pass over the texts whose lengths stand in the buffer; return how many."""
        buffer, unpack, wide = self.buffer, self.lengths.unpack_from, self.wide
        last, at, done = self.at, self.at, 0
        try:
            # the loop runs 100,000s of times: where the buffer ends, unpacking itself fails
            for done in range(1, count + 1):  # noqa: B007 -- told after the loop
                last, at = at, at + wide + unpack(buffer, at)[0]
        except (error, OverflowError):
            done -= 1
        self.believe(at - last - wide, self.base + last)
        self.skip(at - self.at)
        return done
