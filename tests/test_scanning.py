"""The scan against a slow reading of the same bytes, number by number, whatever the chunks."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlint import dtype
from weightlint.probe import MOST_SQUARES, Hash, Job, Span
from weightlint.scanning import chunks, sampling
from weightlint.scanning.blocks import BLOCKS
from weightlint.scanning.number import NUMBERS
from weightlint.scanning.scan import Scan
from weightlint.store import MemoryBlob, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.probe import Row, Stats
    from weightlint.scanning.blocks import Field

    Array = np.ndarray[Any, Any]

EIGHT = {
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
WIDE = {"F16": "f2", "F32": "f4", "F64": "f8"}
CHUNKS = st.sampled_from([1 << 12, 10_000, 1 << 16, 1 << 20])
SEEDS = st.integers(0, 1 << 30)


def values_of(name: str, data: bytes) -> Array:
    """Read numbers as numpy and torch do."""
    if name in EIGHT:
        torch = pytest.importorskip("torch", reason="knows the floats of eight bits")
        tensor = (
            torch.frombuffer(bytearray(data), dtype=getattr(torch, EIGHT[name])) if data else torch.ones(0)
        )
        values: Array = tensor.float().double().numpy()
        return values
    if name == "BF16":
        numbers: Array = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        numbers = np.frombuffer(data, f"<{WIDE[name]}")
    with np.errstate(invalid="ignore"):
        return numbers.astype(np.float64)


def drawn(width: int, size: int, seed: int) -> bytes:
    """Draw bytes: wild ones or tame ones, with zeros here and there."""
    chance = np.random.default_rng(seed)
    data = chance.integers(0, 256, size, np.uint8)
    if chance.random() < 0.6:
        # the top bits of small numbers are never those of what is not finite
        data[width - 1 :: width] &= 0xBF if width > 1 else 0xB7
    for _ in range(chance.integers(0, 4)):
        start, long = chance.integers(0, size), chance.integers(1, 12_000)
        data[start : start + long] = 0
    return data.tobytes()


def spans_over(data: bytes, name: str, unit: int, seed: int) -> Iterator[Span]:
    """Lay a few tensors over a file, with room between some of them."""
    chance, at = np.random.default_rng(seed), 0
    for number in range(4):
        at += int(chance.choice([0, 8, 19]))
        stop = at + unit * int(chance.integers(0, max(1, len(data) // unit // 3)))
        if stop > len(data):
            return
        yield Span(str(number), name, at, stop, scale=bool(chance.random() < 0.3), unit=unit)
        at = stop


def scanned(data: bytes, spans: tuple[Span, ...], monkeypatch: pytest.MonkeyPatch, chunk: int) -> Row:
    monkeypatch.setattr(chunks, "CHUNK", chunk)
    job = Job(
        key="k", file="f", size=len(data), start=0, stop=len(data), spans=spans, hashes=(Hash("md5", 0, 9),)
    )
    return Scan(MemoryStore({"f": data}))(job, lambda _: None)


def first_eight(wrong: Array) -> list[int]:
    return [int(place) for place in np.flatnonzero(wrong)[:8]]


def expect_plain(span: Span, data: bytes, stats: Stats) -> None:
    """Hold what was seen of a tensor against its numbers."""
    width = NUMBERS[span.dtype or ""].width
    values = values_of(span.dtype or "", data[span.start : span.stop])
    finite = np.isfinite(values)
    wrong = {"nan": np.isnan(values), "inf": np.isinf(values)}
    if span.scale and span.dtype != "F8_E8M0":
        wrong["negative"] = finite & (values < 0)
    assert dict(stats.counts) == {what: int(mask.sum()) for what, mask in wrong.items() if mask.any()}
    for what, mask in wrong.items():
        seen = [spot.offset for spot in stats.spots if spot.what == what]
        assert seen == [span.start + place * width for place in first_eight(mask)]
    sizes = np.where(finite, np.abs(values), 0)
    # the least of E8M0, which has no zero
    least = 2.0**-127 if span.dtype == "F8_E8M0" and len(values) else 0.0
    assert stats.absmax == sizes.max(initial=least)
    if sizes.max(initial=0) > least:
        assert stats.peak == span.start + int(sizes.argmax()) * width
    pages = np.arange(len(values)) * width % sampling.EVERY < sampling.PAGE
    some = values[pages & finite]
    assert stats.sampled == len(some)
    with np.errstate(over="ignore"):
        squares = min(float(np.dot(some, some)), MOST_SQUARES)
        assert stats.squares == pytest.approx(squares, rel=1e-6)


@pytest.mark.parametrize("name", sorted({*EIGHT, *WIDE, "BF16"}))
def test_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "EVERY", 1 << 14)
    monkeypatch.setattr(sampling, "PAGE", 1 << 9)
    width = NUMBERS[name].width

    @settings(max_examples=25, deadline=None)
    @given(SEEDS, CHUNKS)
    def check(seed: int, chunk: int) -> None:
        data = drawn(width, 1 << 17, seed)
        spans = tuple(spans_over(data, name, width, seed))
        row = scanned(data, spans, monkeypatch, chunk)
        for span, stats in zip(spans, row.stats, strict=True):
            expect_plain(span, data, stats)

    check()


def scales(field: Field, block: bytes) -> list[float]:
    """Read the scales that one field of a block holds."""
    if field.dtype == "NIBBLES":
        word = sum((block[field.at + 2 * place + 1] >> 4) << 4 * place for place in range(4))
        return [struct.unpack("<e", word.to_bytes(2, "little"))[0]]
    if field.dtype in WIDE:
        form = {"F16": "e", "F32": "f"}[field.dtype]
        return list(struct.unpack_from(f"<{field.times}{form}", block, field.at))
    return [float(value) for value in values_of(field.dtype, block[field.at : field.at + field.times])]


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_scales_of_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = dtype.find(name)
    assert known is not None

    @settings(max_examples=8, deadline=None)
    @given(SEEDS, CHUNKS)
    def check(seed: int, chunk: int) -> None:
        data = drawn(1, 1 << 14, seed)
        spans = tuple(spans_over(data, name, known.size, seed))
        row = scanned(data, spans, monkeypatch, chunk)
        for span, stats in zip(spans, row.stats, strict=True):
            expect_blocks(span, data, stats)

    check()


def expect_blocks(span: Span, data: bytes, stats: Stats) -> None:
    """Hold what was seen of a tensor of blocks against their scales."""
    blocks = [data[at : at + span.unit] for at in range(span.start, span.stop, span.unit)]
    counts = {"nan": 0, "inf": 0, "negative": 0}
    largest, by_place = 0.0, {}
    for number, block in enumerate(blocks):
        for field in BLOCKS[span.dtype or ""]:
            for at, value in enumerate(scales(field, block)):
                if field.lax and np.isnan(value):
                    # NaN stands for 0 there, but its sign is one that nothing writes
                    counts["negative"] += np.signbit(value)
                    continue
                counts["nan"] += np.isnan(value)
                counts["inf"] += np.isinf(value)
                counts["negative"] += bool(value < 0 and np.isfinite(value) and not field.signed)
                if np.isfinite(value):
                    largest = max(largest, abs(value))
                    by_place[span.start + number * span.unit + field.at + at * field.width] = abs(value)
    assert dict(stats.counts) == {what: count for what, count in counts.items() if count}
    assert stats.absmax == largest
    if largest:
        assert by_place[stats.peak] == largest
    assert (stats.sampled > 0) == bool(blocks)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20_000)), min_size=1, max_size=8), CHUNKS)
def test_runs_of_zeros(parts: list[tuple[bool, int]], chunk: int) -> None:
    data = b"".join((b"\0" if zero else b"\1") * long for zero, long in parts)
    with pytest.MonkeyPatch.context() as patch:
        row = scanned(data, (), patch, chunk)
    assert row.zeros == tuple(found.span() for found in re.finditer(rb"\0{4096,}", data))


def in_order(stats: Stats) -> Stats:
    """Leave out what chunks may change: the order of several kinds, the last digit of a sum."""
    return stats._replace(squares=0, spots=tuple(sorted(stats.spots)), counts=tuple(sorted(stats.counts)))


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_chunks_do_not_show(seed: int) -> None:
    data = drawn(2, 1 << 17, seed)
    spans = tuple(spans_over(data, "BF16", 2, seed))
    with pytest.MonkeyPatch.context() as patch:
        rows = [scanned(data, spans, patch, chunk) for chunk in (1 << 12, 50_000, 1 << 20)]
    first = rows[0]
    for row in rows[1:]:
        assert (row.read, row.zeros, row.digests) == (first.read, first.zeros, first.digests)
        assert [*map(in_order, row.stats)] == [*map(in_order, first.stats)]


def test_a_byte_that_cannot_be_read_costs_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks around it are looked at, and none of them at the wrong place."""
    size, bad = 144, 3_000_000
    one = struct.pack("<ee", 0.5, 0.25) + b"\xff" * (size - 4)
    data = one * (4_000_000 // size)
    read_into = MemoryBlob.read_into

    def failing(self: MemoryBlob, buffer: memoryview, start: int) -> int:
        if start <= bad < start + len(buffer):
            raise OSError(5, "Input/output error")
        return read_into(self, buffer, start)

    monkeypatch.setattr(MemoryBlob, "read_into", failing)
    row = scanned(data, (Span("w", "Q4_K", 0, len(data), unit=size),), monkeypatch, 1 << 20)
    ((offset, wanted, got, why),) = row.errors
    assert offset <= bad < offset + wanted
    assert (got, why) == (0, "Input/output error")
    assert len(data) - row.read == wanted <= chunks.STEP
    assert row.stats[0].counts == ()
