"""The GGUF reader: what it lists, what it keeps of the keys, and what it says of damage."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import gguf
import pytest
from gguf_toy import GgufFile, GgufTensor, llama

from weightlint import dtype
from weightlint.formats.gguf import FORMAT
from weightlint.ggml import COUNT, GGML, IK_ONLY, REMOVED
from weightlint.gguf import cursor as gguf_bytes
from weightlint.gguf import reader as gguf_reader
from weightlint.gguf.reader import read
from weightlint.gguf.tensors import row_major
from weightlint.index import FaultKind, Kind
from weightlint.metadata import MAX_ITEMS, MAX_TEXTS, Value
from weightlint.store import MemoryBlob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.index import Fault, Header

ARCH = ("general.architecture", "str", "llama")
A, B, C = GgufTensor("a", (32, 3)), GgufTensor("b", (256,), "Q4_K"), GgufTensor("c", (5, 2), "F16")
"""384, 144 and 20 bytes; padded 384, 160 and 32."""


def listed(data: bytes) -> Header:
    return read(MemoryBlob(data), "m.gguf")


def written(*tensors: GgufTensor, **more: Any) -> Header:
    return listed(GgufFile(tensors=tensors, **more).data())


def only(header: Header) -> Fault:
    (fault,) = header.faults
    return fault


def said(header: Header) -> str:
    return only(header).message


# ------------------------------------------------------------------------------------------ what is listed


def test_names_kinds_and_places_in_the_file() -> None:
    file = GgufFile(tensors=(A, B, C))
    header = listed(file.data())
    data = len(file.head()) + -len(file.head()) % 32
    assert header.names == ["a", "b", "c"]
    assert header.kinds == [Kind("F32", (3, 32)), Kind("Q4_K", (256,)), Kind("F16", (2, 5))]
    assert header.starts == [data, data + 384, data + 544]
    assert header.stops == [data + 384, data + 528, data + 564]
    assert header.size == len(file.data())
    assert not header.faults


@pytest.mark.parametrize(
    ("ne", "shape"),
    [
        ((), (1,)),
        ((1,), (1,)),
        ((7, 1), (7,)),
        ((1, 7), (7, 1)),
        ((2, 3, 4, 1), (4, 3, 2)),
        ((2, 1, 4), (4, 1, 2)),
    ],
)
def test_shapes_are_row_major_without_ones_at_the_end(ne: tuple[int, ...], shape: tuple[int, ...]) -> None:
    assert written(GgufTensor("t", ne)).kinds == [Kind("F32", shape)]


def test_kinds_of_one_sort_are_one_object() -> None:
    header = written(*(GgufTensor(f"t.{at}", (4, 4)) for at in range(9)))
    assert len(set(map(id, header.kinds))) == 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_and_byte_orders_give_one_table(version: int, order: str) -> None:
    keys = [*llama().keys, ("x.scores", "arr", ("f32", [0.5] * 9)), ("x.names", "arr", ("str", ["ä"] * 99))]
    header = listed(replace(llama(), keys=keys, version=version, order=order).data())
    plain = listed(replace(llama(), keys=keys).data())
    assert header.names == plain.names
    assert header.kinds == plain.kinds
    assert header.metadata == plain.metadata
    assert [fault.kind for fault in header.faults] == (
        [] if version > 1 and order == "<" else [FaultKind.MALFORMED]
    )
    assert not any(fault.lost for fault in header.faults)


def test_a_file_without_tensors_may_end_after_its_keys() -> None:
    assert not listed(GgufFile().head()).faults


def test_padding_behind_the_last_tensor_may_be_absent() -> None:
    data = GgufFile(tensors=(A, C)).data()
    assert not listed(data[:-12]).faults
    assert only(listed(data[:-13])).kind is FaultKind.TORN


def test_the_order_of_the_drawer() -> None:
    assert FORMAT.suffixes == (".gguf",)
    assert FORMAT.order == 1


# ---------------------------------------------------------------------------------------------------- keys


def test_every_type_of_value() -> None:
    keys: list[tuple[str, str, Any]] = [
        ARCH,
        ("a", "u8", 255),
        ("b", "i8", -1),
        ("c", "u16", 65535),
        ("d", "i16", -2),
        ("e", "u32", 2**32 - 1),
        ("f", "i32", -3),
        ("g", "f32", 0.5),
        ("h", "bool", True),
        ("i", "str", "\nünï"),
        ("j", "u64", 2**64 - 1),
        ("k", "i64", -(2**63)),
        ("l", "f64", 1e300),
    ]
    header = written(keys=keys)
    assert header.metadata == {key: Value(type_, value) for key, type_, value in keys}
    assert not header.faults


@pytest.mark.parametrize(
    ("of", "items", "kept"),
    [
        ("i32", [1, -1], True),
        ("bool", [True, False], True),
        ("i32", [7] * MAX_ITEMS, True),
        ("i32", [7] * (MAX_ITEMS + 1), False),
        ("f64", [0.5] * 100_000, False),
        ("str", ["en", "de"], True),
        ("str", ["x"] * MAX_TEXTS, True),
        ("str", ["x" * (at % 50) for at in range(50_000)], False),
        ("str", [], True),
    ],
)
def test_short_arrays_are_kept_and_long_ones_counted(of: str, items: list[Any], *, kept: bool) -> None:
    header = written(A, keys=[ARCH, ("k", "arr", (of, items)), ("last", "u32", 5)])
    assert header.metadata["k"] == Value("arr", items if kept else None, of, len(items))
    assert header.metadata["last"] == Value("u32", 5)
    assert header.names == ["a"]


def test_a_huge_text_is_passed_over() -> None:
    header = written(A, keys=[ARCH, ("k", "str", "x" * (3 << 20)), ("last", "u32", 5)])
    assert header.metadata["k"] == Value("str", None)
    assert header.metadata["last"] == Value("u32", 5)


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_the_chunks_do_not_show(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [*llama().keys, ("t", "arr", ("str", [f"token{'x' * (at % 40)}" for at in range(500)]))]
    data = replace(llama(), keys=keys).data()
    whole = listed(data)
    monkeypatch.setattr(gguf_bytes, "CHUNK", chunk)
    monkeypatch.setattr(gguf_bytes, "FIRST_CHUNK", chunk)
    monkeypatch.setattr(gguf_reader, "HEAD", max(8, chunk))
    assert listed(data) == whole


class Counting(MemoryBlob):
    """A file that counts the bytes that are read of it."""

    asked: ClassVar[list[int]] = []

    def read(self, start: int, stop: int) -> bytes:
        self.asked.append(stop - start)
        return super().read(start, stop)


def test_little_is_read_of_a_file_with_little_in_its_header() -> None:
    data = GgufFile(tensors=[GgufTensor("t", (1 << 18,))]).data()
    Counting.asked.clear()
    assert not read(Counting(data), "m.gguf").faults
    assert sum(Counting.asked) <= 4096 + 16


def test_a_bool_that_is_neither_is_odd() -> None:
    data = written_bytes([ARCH, ("k", "bool", True)])
    at = data.index(b"k" + struct.pack("<I", 7)) + 5
    fault = only(listed(data[:at] + b"\7" + data[at + 1 :]))
    assert fault.kind is FaultKind.ODD
    assert "bool with the value 7" in fault.message


def written_bytes(keys: Sequence[tuple[str, str, Any]]) -> bytes:
    return GgufFile(keys=keys).data()


def test_a_key_without_an_architecture_needs_none_in_a_later_part() -> None:
    assert "general.architecture" in said(written(keys=[("k", "u32", 1)]))
    assert "u32, not as str" in said(written(keys=[("general.architecture", "u32", 1)]))
    assert not written(keys=[("split.no", "u16", 1)]).faults
    assert not written(keys=[("general.type", "str", "imatrix")]).faults
    later = read(MemoryBlob(written_bytes([("split.count", "u16", 3)])), "m-00002-of-00003.gguf")
    assert not later.faults


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (("u32", 64), None, ""),
        (("u32", 48), FaultKind.MALFORMED, "no power of two"),
        (("u32", 0), FaultKind.MALFORMED, "no power of two"),
        (("u64", 32), FaultKind.MALFORMED, "u64, llama.cpp takes u32"),
        (("u32", 1 << 30), FaultKind.MALFORMED, "behind the end"),
    ],
)
def test_the_alignment(value: tuple[str, int], kind: FaultKind | None, words: str) -> None:
    keys = [ARCH, ("general.alignment", *value)]
    alignment = value[1] if value[1] in {32, 64} else 32
    header = written(A, C, keys=keys, alignment=alignment)
    assert [fault.kind for fault in header.faults] == ([] if kind is None else [kind])
    assert all(words in fault.message for fault in header.faults)


def test_a_small_alignment_kills_the_cpu_back_end_unless_the_data_happen_to_lie_well() -> None:
    outcomes = []
    for length in range(32):
        keys = [ARCH, ("k", "str", "x" * length), ("general.alignment", "u32", 8)]
        file = GgufFile(keys, (A,), alignment=8)
        data = len(file.head()) + -len(file.head()) % 8
        odd = [fault.kind for fault in listed(file.data()).faults]
        assert odd == ([FaultKind.ODD] if data % 32 else [])
        outcomes.append(bool(odd))
    assert len(set(outcomes)) == 2


# --------------------------------------------------------------------------------------------------- types


def test_the_types_are_those_of_the_gguf_package() -> None:
    # Q8_1 has 36 bytes in C (ggml-common.h), 40 in the package, which uses none; Q2_0 is younger than it
    theirs = {it.value: (it.name, *gguf.GGML_QUANT_SIZES[it]) for it in gguf.GGMLQuantizationType}
    ours = {id_: (it.name, it.block, it.size) for id_, it in GGML.items() if id_ < COUNT}
    assert theirs.pop(9)[2] == 40
    assert ours.pop(9) == ("Q8_1", 32, 36)
    assert ours.pop(42) == ("Q2_0", 64, 18)
    assert ours == theirs


def test_removed_types_and_those_of_ik_llama_are_told_apart() -> None:
    assert set(REMOVED) | {id_ for id_ in GGML if id_ < COUNT} == set(range(COUNT))
    assert {"IQ4_KS", "Q6_0", "Q4_K_R4"} <= IK_ONLY
    assert not IK_ONLY & {"Q4_K", "IQ4_XS", "MXFP4"}


@pytest.mark.parametrize(
    ("name", "shape", "size"),
    [
        # bits per weight as ik_llama.cpp prints them: 4.25 for IQ4_KS, 4.5 for IQ4_K, 5.25 for IQ5_KS
        ("IQ4_KS", (7, 512), 7 * (512 * 4.25 / 8 + 4)),
        ("IQ4_K", (7, 512), 7 * 512 * 4.5 / 8),
        ("IQ5_KS", (2, 3, 256), 6 * (256 * 5.25 / 8 + 4)),
        ("Q8_KV", (3, 64), 3 * (64 + 8)),
        ("Q4_K", (0, 256), 0),
        ("Q4_K", (2, 255), None),
        ("BF16", (3, 5), 30),
    ],
)
def test_bytes_of_types_of_every_format(name: str, shape: tuple[int, ...], size: int | None) -> None:
    found = dtype.find(name)
    assert found is not None
    assert found.nbytes(shape) == size


def test_a_type_of_another_format_is_found_and_no_type_is_not() -> None:
    assert dtype.find("F8_E4M3") is not None
    assert dtype.find("Q9_X") is None


MAPS = sorted((Path(__file__).parents[1].parent / "shared" / "data" / "indexes").glob("gguf-*/*.map"))
LINE = re.compile(r".*:shape=\(([0-9, ]+)\):dtype=(\w+):elements=(\d+):bytes=(\d+)(:.*)?")


@pytest.mark.skipif(not MAPS, reason="the real listings are not here")
def test_bytes_of_real_tensors() -> None:
    # the maps of Thireus/GGUF-Tool-Suite; a scalar is listed with the bytes up to the next alignment
    checked = 0
    for path in MAPS:
        for line in path.read_text().splitlines():
            match = LINE.fullmatch(line)
            assert match, line
            found = dtype.find(match[2].upper())
            assert found is not None, line
            shape = row_major(tuple(int(dim) for dim in match[1].split(",") if dim.strip()))
            assert int(match[4]) == max(found.nbytes(shape) or 0, 32), line
            checked += 1
    assert checked > 20_000


def test_types_that_only_ik_llama_reads_are_odd_once() -> None:
    fault = only(written(A, *(GgufTensor(f"t.{at}", (256, 2), "IQ4_KS") for at in range(3))))
    assert fault.kind is FaultKind.ODD
    assert fault.tensors == ("t.{0..2}",)


# ------------------------------------------------------------------------------------------------- entries


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (GgufTensor("n" * 64, (4,)), "64 bytes"),
        (GgufTensor("t", (32, 1, 1, 1, 1), 0), "5 dimensions"),
        (GgufTensor("t", (2**64 - 1,), 0), "a negative dimension: {-1}"),
        (GgufTensor("t", (2**40, 2**40), 0), "more than 2^63 elements"),
        (GgufTensor("t", (2**31, 2**31), 27), "more than 2^64 bytes as I64"),
        (GgufTensor("t", (33,), 2), "Q4_0 rows of 33 elements"),
        (GgufTensor("t", (32,), 4), "type 4 (Q4_2), which llama.cpp has removed"),
        (GgufTensor("t", (32,), 43), "type 43"),
        (GgufTensor("t", (32,), -1), "type -1"),
    ],
)
def test_a_broken_entry_is_named(tensor: GgufTensor, words: str) -> None:
    header = written(tensor)
    fault = only(header)
    assert words in fault.message
    assert fault.tensors == (tensor.name,)
    assert fault.kind is FaultKind.MALFORMED
    assert header.names == [tensor.name]


def test_a_name_ends_at_a_nul_as_in_c() -> None:
    assert (
        "a name that another tensor has"
        in listed(GgufFile(tensors=(A, replace(C, name="a\0b"))).data()).faults[0].message
    )
    assert said(written(A, replace(C, name="a"))).startswith("a of m.gguf has a name that another tensor has")


def test_many_broken_entries_of_one_sort_are_one_fault() -> None:
    fault = only(written(*(GgufTensor(f"t.{at}", (33,), 2) for at in range(40))))
    assert fault.message.startswith("40 tensors of m.gguf have")
    assert fault.tensors == ("t.{0..39}",)


def test_strange_names_are_odd() -> None:
    fault = only(written(replace(A, name="\x1b[2J"), replace(C, name="")))
    assert fault.kind is FaultKind.ODD
    assert "2 tensor names" in fault.message


# ------------------------------------------------------------------------------------------------- offsets


def moved(*offsets: int, size: int | None = None) -> str:
    data = GgufFile(tensors=(A, B, C), offsets=offsets).data()
    fault = only(listed(data + bytes(size or 0)))
    assert fault.kind is FaultKind.MALFORMED
    return fault.message


def test_what_happened_to_the_offsets_is_said() -> None:
    assert moved(0, 0, 544).startswith("b of m.gguf has an offset of 0, inside a")
    assert moved(384, 0, 544).startswith("a and b of m.gguf have each other's offset")
    assert moved(0, 388, 544).startswith("b of m.gguf has an offset of 388, no multiple of the alignment 32")
    assert moved(0, 384, 1 << 20).startswith("c of m.gguf has an offset of 1,048,576, beyond the end")
    assert moved(0, 384, 608, size=64).startswith("c of m.gguf has 64 bytes before it")
    assert moved(192, 0, 160).startswith("the data of m.gguf stand in another order than its table")
    assert moved(32, 416, 576, size=64).startswith("the first tensor of m.gguf begins 32 bytes after")
    assert moved(64, 512, 800, size=512).startswith("a of m.gguf has 64 bytes before it")
    assert moved(0, 384, 528).startswith("m.gguf pads its tensors to 1 bytes")
    assert moved(0, 512, 768, size=256).startswith("m.gguf pads its tensors to 256 bytes")


def test_bytes_set_aside_for_another_type_are_said() -> None:
    # IQ4_KSS written without the 4 bytes of each row: ik_llama.cpp pull request #2437
    rows = [GgufTensor(f"t.{at}", (256, 16), "IQ4_KSS") for at in range(3)]
    packed = [at * 128 * 16 for at in range(3)]
    message = only(written(*rows, offsets=packed)).message
    assert message.startswith(
        "t.0 of m.gguf takes 2,112 bytes as IQ4_KSS {256, 16}, 2,048 are set aside for it"
    )
    assert "1 more tensor" in message
    file = GgufFile(tensors=(replace(A, type="F16"), B, C), offsets=(0, 384, 544))
    assert "192 bytes as F16 {32, 3}, 384 are set aside for it (as much as F32 or I32 takes)" in said(
        listed(file.data() + bytes(192))
    )


@pytest.mark.parametrize("lost", [1, 20, 33, 300, 564])
def test_a_file_cut_in_its_data_names_bytes_and_tensors(lost: int) -> None:
    data = GgufFile(tensors=(A, B, C)).data()[:-12]
    header = listed(data[:-lost])
    fault = only(header)
    hit = [stop > len(data) - lost for stop in header.stops]
    assert fault.kind is FaultKind.TORN
    assert not fault.lost
    assert fault.tensors == tuple(name for name, cut in zip("abc", hit, strict=True) if cut)
    assert fault.message.startswith(f"m.gguf ends {lost:,} byte")


# ---------------------------------------------------------------------------------------------- the counts


def counting(tensors: int, keys: int) -> bytes:
    data = llama().data()
    return data[:8] + struct.pack("<QQ", len(llama().tensors) + tensors, len(llama().keys) + keys) + data[24:]


def test_a_count_that_is_off_by_some_is_said() -> None:
    assert "counts 20 tensors, but an entry for one more stands at" in said(listed(counting(-1, 0)))
    assert "counts 22 tensors, its table has 21" in said(listed(counting(1, 0)))
    for wrong in ((0, 1), (0, -1), (1 << 40, 0), (0, 1 << 40), (2**63, 0)):
        fault = only(listed(counting(*wrong)))
        assert fault.kind is FaultKind.MALFORMED
        assert fault.lost


def test_a_header_cut_anywhere_is_torn() -> None:
    whole = llama().head()
    for stop in range(1, len(whole)):
        fault = only(listed(whole[:stop]))
        assert fault.kind in {FaultKind.TORN, FaultKind.FOREIGN}
        assert fault.kind is FaultKind.TORN or stop < 4


# ------------------------------------------------------------------------------------------------- strangers


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n", "Git LFS"),
        (bytes(4096), "all zeros"),
        (b"tjgg\3\0\0\0", "a GGML file"),
        (struct.pack("<Q", 2) + b"{}", "a safetensors file"),
        (b"PK\3\4", "a ZIP archive"),
        (b"gguf\3\0\0\0", "begins with 'gguf', not with 'GGUF'"),
        (b"\xff\xfe\0\1rest", "begins with '\xff\xfe\\x00\\x01'"),
    ],
)
def test_a_stranger_is_recognised(data: bytes, words: str) -> None:
    fault = only(listed(data))
    assert fault.kind is FaultKind.FOREIGN
    assert fault.lost
    assert words in fault.message


def test_the_version_decides_what_is_refused() -> None:
    data = llama().data()
    for version, words in ((0, "version 0"), (4, "newer"), (2**31, "version 128")):
        assert words in said(listed(data[:4] + struct.pack("<I", version) + data[8:]))


def test_a_version_that_alone_is_turned_round_is_one_fault() -> None:
    data = llama().data()
    message = said(listed(data[:4] + struct.pack(">I", 3) + data[8:]))
    assert message.startswith("m.gguf is big-endian")
    assert "nor can it be read in that way" in message
