"""The safetensors reader: one fault per cause, and the verdict of the safetensors library itself."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightlint.formats import safetensors
from weightlint.formats.safetensors import FORMAT
from weightlint.index import UNKNOWN, Fault, FaultKind, Header, Kind
from weightlint.names import expand
from weightlint.store import MemoryBlob

TORN, ODD = FaultKind.TORN, FaultKind.ODD
FOREIGN, MALFORMED = FaultKind.FOREIGN, FaultKind.MALFORMED


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    """Return a header's entry; two F32 by default."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def raw_file(header: bytes, data: bytes = b"", *, length: int | None = None) -> bytes:
    """Return the bytes of a file with this header text."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def file(header: object, size: int = 8) -> bytes:
    """Return the bytes of a file with this table and so many zero bytes of data."""
    return raw_file(json.dumps(header).encode(), bytes(size))


def read(data: bytes) -> Header:
    """Read a file from memory."""
    return FORMAT.read(MemoryBlob(data), "m.safetensors")


A = json.dumps(entry())
ONE_FAULT: dict[str, tuple[bytes, FaultKind, str]] = {
    "empty file": (b"", FOREIGN, "0 bytes"),
    "seven bytes": (b"\1" * 7, FOREIGN, "7 bytes"),
    "no header": (raw_file(b""), FOREIGN, "zeros"),
    "zeros": (bytes(4096), FOREIGN, "zeros"),
    "length of 2^64 - 1": (raw_file(b"{}", length=2**64 - 1), FOREIGN, "18,446,744,073,709,551,615"),
    "cut inside the header": (raw_file(b"{}", length=1000), TORN, "inside its header"),
    "git lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 4302384152\n",
        FOREIGN,
        f"4,302,384,152 bytes, sha256 {'a' * 64}",
    ),
    "web page": (b"<!DOCTYPE html><html></html>", FOREIGN, "HTML"),
    "json error": (b'{"error":"Repository not found"}', FOREIGN, "Repository not found"),
    "text error": (b"Entry not found", FOREIGN, "Entry not found"),
    "pickle": (b"\x80\x04\x95\x0b\0\0\0\0\0\0\0}\x94.", FOREIGN, "pickle"),
    "zip": (b"PK\x03\x04" + bytes(60), FOREIGN, "ZIP"),
    "gguf": (b"GGUF\3\0\0\0" + bytes(60), FOREIGN, "GGUF"),
    "gzip": (b"\x1f\x8b\x08\0" + bytes(60), FOREIGN, "gzip"),
    "not UTF-8": (raw_file(b'{"\xff":1}'), MALFORMED, "byte 10"),
    "not JSON": (raw_file(b"{hello}"), MALFORMED, "byte 9"),
    "list": (raw_file(b"[]"), MALFORMED, "a list"),
    "BOM": (raw_file(b"\xef\xbb\xbf{}"), MALFORMED, "BOM"),
    "NUL padding": (raw_file(b"{}\0\0"), MALFORMED, "NUL"),
    "nesting": (raw_file(b'{"a":' + b"[" * 9999 + b"]" * 9999 + b"}"), MALFORMED, "nested"),
    "half a pair": (raw_file(b'{"\\ud800":%s}' % A.encode(), bytes(8)), MALFORMED, "surrogate"),
    "half a pair in metadata": (
        raw_file(b'{"__metadata__":{"a":"\\udc00"},"a":%s}' % A.encode(), bytes(8)),
        MALFORMED,
        "surrogate",
    ),
    "name twice, other place": (
        raw_file(f'{{"a":{A},"a":{json.dumps(entry(offsets=(8, 16)))}}}'.encode(), bytes(16)),
        MALFORMED,
        "lists a twice",
    ),
    "name twice, same place": (
        raw_file(f'{{"a":{A},"a":{A}}}'.encode(), bytes(8)),
        MALFORMED,
        "lists a twice",
    ),
    "name twice, spaced colon": (
        raw_file(f'{{"a" :{A},"a" :{A}}}'.encode(), bytes(8)),
        MALFORMED,
        "lists a twice",
    ),
    "name twice, one escaped": (
        raw_file(f'{{"a":{A},"\\u0061":{A}}}'.encode(), bytes(8)),
        MALFORMED,
        "twice",
    ),
    "field twice": (
        raw_file(b'{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
        MALFORMED,
        "dtype twice",
    ),
    "metadata key twice": (raw_file(b'{"__metadata__":{"a":"b","a":"c"}}'), MALFORMED, "a twice"),
    "same bytes": (file({"a": entry(), "b": entry()}), MALFORMED, "share 8 bytes"),
    "same bytes, others idle": (file({"a": entry(), "b": entry()}, size=16), MALFORMED, "share 8 bytes"),
    "hole": (file({"a": entry(), "b": entry(offsets=(16, 24))}, size=24), MALFORMED, "8 bytes"),
    "empty tensor inside another": (
        file({"a": entry(), "b": entry(shape=(0,), offsets=(4, 4))}),
        MALFORMED,
        "share 0 bytes",
    ),
    "one byte short": (file({"a": entry()}, size=7), TORN, "1 byte too early"),
    "bytes after the end": (file({"a": entry()}, size=30), TORN, "22 bytes after"),
    "data without tensors": (file({}, size=4), TORN, "4 bytes after"),
    "ends before it begins": (file({"a": entry(offsets=(8, 0))}), MALFORMED, "[8, 0]"),
    "negative offset": (file({"a": entry(offsets=(-8, 0))}), MALFORMED, "[-8, 0]"),
    "float offset": (file({"a": entry(offsets=(0.0, 8.0))}), MALFORMED, "0.0"),
    "minus zero": (raw_file(b'{"a":%s}' % A.replace("[0", "[-0").encode(), bytes(8)), MALFORMED, "-0"),
    "offset of 2^64": (file({"a": entry(offsets=(0, 2**64))}), MALFORMED, "2^63"),
    "three offsets": (file({"a": entry(offsets=(0, 8, 9))}), MALFORMED, "3 data_offsets"),
    "shape overflow": (file({"a": entry(shape=(2**40, 2**40))}), MALFORMED, "2^64 bits"),
    "shape overflow before a zero": (
        file({"a": entry(shape=(2**40, 2**40, 0), offsets=(0, 0))}, size=0),
        MALFORMED,
        "2^64 bits",
    ),
    "negative shape": (file({"a": entry(shape=(-2, -1))}), MALFORMED, "-2"),
    "float shape": (file({"a": entry(shape=(2.0,))}), MALFORMED, "2.0"),
    "bool shape": (file({"a": entry(shape=(True, 2))}), MALFORMED, "true"),
    "null shape": (file({"a": entry(shape=(None,))}), MALFORMED, "null"),
    "table as shape": (file({"a": entry(shape={}, offsets=(0, 4))}, size=4), MALFORMED, "a table"),
    "NaN shape": (file({"a": entry(shape=(float("nan"),))}), MALFORMED, "NaN"),
    "rank 65": (file({"a": entry(shape=(1,) * 65, offsets=(0, 4))}, size=4), MALFORMED, "65 dimensions"),
    "long number": (
        raw_file(b'{"a":%s}' % A.replace("[2]", f"[1{'0' * 999}]").encode(), bytes(8)),
        MALFORMED,
        "1,000 digits",
    ),
    "very long number": (
        raw_file(b'{"a":%s}' % A.replace("[2]", f"[1{'0' * 5000}]").encode(), bytes(8)),
        MALFORMED,
        "4,300 digits",
    ),
    "unknown dtype": (file({"a": entry(dtype="F7")}), MALFORMED, "F7"),
    "lower-case dtype": (file({"a": entry(dtype="f32")}), MALFORMED, "meant F32?"),
    "no whole bytes": (
        file({"a": entry(dtype="F4", shape=(3,), offsets=(0, 2))}, size=2),
        MALFORMED,
        "whole bytes",
    ),
    "wrong span": (file({"a": entry(shape=(3,))}), MALFORMED, "takes 12"),
    "no dtype": (file({"a": {"shape": [2], "data_offsets": [0, 8]}}), MALFORMED, "no dtype"),
    "number as entry": (file({"a": entry(), "b": 1}), MALFORMED, "the number 1"),
    "metadata with numbers": (file({"__metadata__": {"n": 1}, "a": entry()}), MALFORMED, "n is none"),
    "metadata list": (file({"__metadata__": [], "a": entry()}), MALFORMED, "a list"),
    "deep unknown field": (
        raw_file(b'{"a":%s}' % A.replace("}", ',"x":' + "[" * 200 + "]" * 200 + "}").encode(), bytes(8)),
        MALFORMED,
        "nested",
    ),
    "unknown field out of range": (
        raw_file(b'{"a":%s}' % A.replace("}", ',"x":1e999}').encode(), bytes(8)),
        MALFORMED,
        "out of range",
    ),
    "unknown field": (file({"a": entry(evil=1)}), ODD, "fields"),
    "space before the table": (
        raw_file(b"  " + json.dumps({"a": entry()}).encode(), bytes(8)),
        ODD,
        "white space",
    ),
    "2 MB of spaces": (raw_file(b"{}" + b" " * (2 << 20)), ODD, "2,097,152 bytes"),
    "escape in a name": (file({"\x1b[2J": entry()}), ODD, "control characters"),
    "long name": (file({"é" * 600: entry()}), ODD, "1,024 bytes"),
    "empty name": (file({"": entry()}), ODD, "empty"),
}


@pytest.mark.parametrize(("data", "kind", "words"), ONE_FAULT.values(), ids=ONE_FAULT)
def test_each_defect_is_one_fault_that_says_what(data: bytes, kind: FaultKind, words: str) -> None:
    (fault,) = read(data).faults
    assert fault.kind is kind
    assert words in " ".join((fault.message, fault.expected or "", fault.found or ""))
    assert fault.cure


SOUND: dict[str, tuple[bytes, dict[str, Kind]]] = {
    "no tensor": (file({}, size=0), {}),
    "scalar": (file({"a": entry(shape=(), offsets=(0, 4))}, size=4), {"a": Kind("F32", ())}),
    "empty tensor": (file({"a": entry(shape=(0, 4), offsets=(0, 0))}, size=0), {"a": Kind("F32", (0, 4))}),
    "any order": (
        file({"b": entry(offsets=(8, 16)), "a": entry()}, size=16),
        {"b": Kind("F32", (2,)), "a": Kind("F32", (2,))},
    ),
    "two F4 a byte": (
        file({"a": entry(dtype="F4", shape=(4,), offsets=(0, 2))}, size=2),
        {"a": Kind("F4", (4,))},
    ),
    "metadata with colons": (
        file({"__metadata__": {"made": "2024-01-05 10:11:12", "say": '":"'}, "a:b": entry()}),
        {"a:b": Kind("F32", (2,))},
    ),
    "no metadata": (file({"__metadata__": None, "a": entry()}), {"a": Kind("F32", (2,))}),
    "other script": (file({"層.0": entry()}), {"層.0": Kind("F32", (2,))}),
    "indented": (raw_file(json.dumps({"a": entry()}, indent=1).encode(), bytes(8)), {"a": Kind("F32", (2,))}),
}


@pytest.mark.parametrize(("data", "kinds"), SOUND.values(), ids=SOUND)
def test_sound_files_are_silent(data: bytes, kinds: dict[str, Kind]) -> None:
    header = read(data)
    assert not header.faults
    assert dict(zip(header.names, header.kinds, strict=True)) == kinds


def test_positions_count_from_the_start_of_the_file() -> None:
    data = file({"a": entry(), "b": entry(offsets=(8, 16))}, size=16)
    header = read(data)
    assert list(header.starts) == [len(data) - 16, len(data) - 8]
    assert list(header.stops) == [len(data) - 8, len(data)]


def test_a_cut_file_names_what_is_hit_and_still_lists_its_tensors() -> None:
    table = {f"layers.{n}.w": entry(offsets=(8 * n, 8 * n + 8)) for n in range(4)}
    header = read(file(table, size=20))
    (fault,) = header.faults
    assert [name for pattern in fault.tensors for name in expand(pattern)] == ["layers.2.w", "layers.3.w"]
    assert list(header.names) == list(table)
    assert not fault.lost


def test_a_cut_file_with_a_broken_entry_says_both() -> None:
    faults = read(file({"a": entry(dtype="F7"), "b": entry(offsets=(8, 16))}, size=10)).faults
    assert {fault.kind for fault in faults} == {MALFORMED, TORN}


def test_many_alike_are_one_fault() -> None:
    table = {f"layers.{n}.w": entry(dtype="F7", offsets=(8 * n, 8 * n + 8)) for n in range(300)}
    header = read(file(table, size=2400))
    (fault,) = header.faults
    assert fault.tensors == ("layers.{0..299}.w",)
    assert set(header.kinds) == {UNKNOWN}


def test_names_of_many_numbers_do_not_exhaust_the_stack() -> None:
    table = {".".join("1" * 500) + f".{n}": entry(dtype="F7", offsets=(8 * n, 8 * n + 8)) for n in range(3)}
    (fault,) = read(file(table, size=24)).faults
    assert sorted(name for pattern in fault.tensors for name in expand(pattern)) == sorted(table)


def test_a_header_beyond_the_limit_is_refused_before_it_is_read() -> None:
    class Huge(MemoryBlob):
        @property
        def size(self) -> int:
            return safetensors.MAX_HEADER + 9

        def read(self, start: int, stop: int) -> bytes:
            assert stop <= 4096
            return (safetensors.MAX_HEADER + 1).to_bytes(8, "little")[start:] + b"{}"

    (fault,) = safetensors.read(Huge(b""), "m.safetensors").faults
    assert "100,000,001" in fault.message


def test_the_file_that_shrinks_while_it_is_read() -> None:
    class Shrinking(MemoryBlob):
        @property
        def size(self) -> int:
            return len(self.data) + 1000

    data = raw_file(b'{"a"', length=500)
    (fault,) = FORMAT.read(Shrinking(data), "m.safetensors").faults
    assert fault.kind is TORN


BASE = {
    "__metadata__": {"format": "pt", "note": "é"},
    "layers.0.w": entry("BF16", (2, 2), (0, 8)),
    "z": entry("F4", (4,), (8, 10)),
    "e": entry("I8", (0,), (10, 10)),
    "layers.1.w": entry("F32", (), (10, 14)),
}
ALPHABET = b'0123456789"\\{}[]:,. -+eEuntf\x00\x7f\x80\n'


def library(data: bytes) -> list[tuple[str, str, tuple[int, ...]]] | None:
    """Return what the safetensors library makes of a file, None where it refuses."""
    from safetensors import SafetensorError, deserialize

    try:
        return sorted((name, info["dtype"], tuple(info["shape"])) for name, info in deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError:
        return None


def repeats(fault: Fault) -> bool:
    """Tell whether a fault is a key given twice, to which the library is blind."""
    return "twice" in fault.message


def agrees(data: bytes) -> None:
    """Compare our verdict on a file with the library's."""
    header = read(data)
    refused = [fault for fault in header.faults if fault.kind is not ODD]
    if any(map(repeats, refused)):
        return
    said = library(data)
    if said is None:
        assert refused
    else:
        assert not refused, (refused, data)
        ours = [(name, *kind) for name, kind in zip(header.names, header.kinds, strict=True)]
        assert sorted(ours) == said


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a sound file with one or two bytes of its header changed, dropped or added."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    raw = bytearray(json.dumps(BASE, separators=separators, ensure_ascii=draw(st.booleans())).encode())
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(raw) - 1))
        keep = draw(st.booleans())
        new = bytes([draw(st.sampled_from(ALPHABET))]) if draw(st.booleans()) else b""
        raw[at : at + (not keep)] = new
    return raw_file(bytes(raw), bytes(14))


@given(damaged())
def test_damaged_text_gets_the_library_s_verdict(data: bytes) -> None:
    agrees(data)


@given(st.sampled_from(["layers.0.w", "z", "e", "layers.1.w"]), st.integers(0, 3), st.integers(-2, 20))
def test_a_changed_number_gets_the_library_s_verdict(name: str, which: int, value: int) -> None:
    table = json.loads(json.dumps(BASE))
    numbers = table[name]["shape" if which > 1 else "data_offsets"]
    numbers[which % 2 : which % 2 + 1] = [value]
    agrees(file(table, size=14))


@given(st.integers(0, 400), st.binary(max_size=3))
def test_a_cut_or_lengthened_file_gets_the_library_s_verdict(cut: int, tail: bytes) -> None:
    agrees(file(BASE, size=14)[: -cut or None] + tail)


@given(
    table=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
            lambda name: name != "__metadata__"
        ),
        st.tuples(
            st.sampled_from(["F32", "BF16", "U8", "F4", "F8_E4M3", "C64"]),
            st.lists(st.integers(0, 5), max_size=4),
        ),
        max_size=6,
    ),
    escaped=st.booleans(),
)
def test_random_tables_get_the_library_s_verdict(
    table: dict[str, tuple[str, list[int]]], *, escaped: bool
) -> None:
    bits = {"F32": 32, "BF16": 16, "U8": 8, "F4": 4, "F8_E4M3": 8, "C64": 64}
    header, at = {}, 0
    for name, (dtype, shape) in table.items():
        count = bits[dtype]
        for dim in shape:
            count *= dim
        header[name] = entry(dtype, shape, (at, at + count // 8))
        at += count // 8
    agrees(raw_file(json.dumps(header, ensure_ascii=escaped).encode(), bytes(at)))


@pytest.mark.parametrize(
    "entry",
    [
        '{"dtype":"U8","shape":[true],"data_offsets":[0,1]}',
        '{"dtype":"U8","shape":[1],"data_offsets":[0,true]}',
        '{"dtype":"U8","shape":[1],"data_offsets":[false,1]}',
        '{"dtype":"U8","shape":{},"data_offsets":[0,1]}',
        '{"dtype":"U8","shape":"","data_offsets":[0,1]}',
        '{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}',
        '{"dtype":"U8","shape":[1],"data_offsets":[0,1.0]}',
    ],
)
def test_what_only_looks_like_a_number_is_refused_as_the_library_does(entry: str) -> None:
    library = pytest.importorskip("safetensors")
    text = ('{"a":' + entry + ',"b":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}}').encode()
    raw = len(text).to_bytes(8, "little") + text + bytes(5)
    with pytest.raises(library.SafetensorError):
        library.deserialize(raw)
    assert [fault.kind for fault in FORMAT.read(MemoryBlob(raw), "x").faults] == [FaultKind.MALFORMED]
