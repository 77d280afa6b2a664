"""The torch reader on files written by hand: what it lists, and one fault per cause."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch_toy
from torch_toy import (
    OTHER_GLOBAL,
    archive,
    call,
    legacy,
    named,
    nbytes,
    number,
    numbers,
    pickled,
    row,
    storage,
    tensor,
    text,
)
from torch_toy import table as pickled_table

from weightlint.checkpoint import collector_off
from weightlint.formats.torch import FORMAT
from weightlint.index import Fault, FaultKind, Header, Kind
from weightlint.pickling import machine as pickle_machine
from weightlint.store import MemoryBlob
from weightlint.stores.local import LocalStore
from weightlint.torch_files import state_dict

ODD, TORN, UNSAFE = FaultKind.ODD, FaultKind.TORN, FaultKind.UNSAFE
FOREIGN, MALFORMED, UNTRUSTED = FaultKind.FOREIGN, FaultKind.MALFORMED, FaultKind.UNTRUSTED
ROWS = [
    ("a.weight", "F32", (3, 4)),
    ("b", "BF16", (2,)),
    ("scalar", "I64", ()),
    ("empty", "F16", (0, 5)),
    ("scale", "F8_E4M3", (4,)),
    ("mask", "BOOL", (2, 2)),
]


def read(data: bytes) -> Header:
    return FORMAT.read(MemoryBlob(data), "m.bin")


def table(header: Header) -> dict[str, tuple[str | None, tuple[int, ...] | None]]:
    return {name: (kind.dtype, kind.shape) for name, kind in zip(header.names, header.kinds, strict=True)}


def only(data: bytes) -> Fault:
    (fault,) = read(data).faults
    return fault


@pytest.mark.parametrize("write", [torch_toy.file, legacy])
def test_tensors_are_listed_with_their_bytes(write: object) -> None:
    assert callable(write)
    data = write(ROWS)
    header = read(data)
    assert not header.faults
    assert table(header) == {name: (dtype, shape) for name, dtype, shape in ROWS}
    sizes = [stop - start for start, stop in zip(header.starts, header.stops, strict=True)]
    assert sizes == [nbytes(dtype, shape) for _, dtype, shape in ROWS]
    assert max(header.stops) <= len(data) == header.size


def test_bytes_are_where_they_are_said_to_be() -> None:
    data = archive(
        pickled(pickled_table({"w": tensor("I32", (2,), "0", offset=1, elements=4)})), [bytes(range(16))]
    )
    header = read(data)
    assert data[header.starts[0] : header.stops[0]] == bytes(range(4, 12))


def test_an_archive_larger_than_four_gigabytes(tmp_path: Path) -> None:
    """Positions and sizes beyond 32 bits stand in extra fields, as in real shards."""
    large = (1 << 32) + 64
    items = {"first": tensor("U8", (large,), "0"), "second": tensor("F32", (2, 2), "1")}
    records = [
        ("s/data.pkl", pickled(pickled_table(items))),
        ("s/data/0", b""),
        ("s/data/1", struct.pack("<4f", 1, 2, 3, 4)),
        ("s/version", b"3\n"),
    ]
    sizes = [large if name == "s/data/0" else len(data) for name, data in records]
    with (tmp_path / "s.bin").open("wb") as target:
        torch_toy.padded(
            [(name, size, data) for (name, data), size in zip(records, sizes, strict=True)], target
        )
    with LocalStore(tmp_path).open("s.bin") as blob:
        header = FORMAT.read(blob, "s.bin")
        assert not header.faults
        assert table(header) == {"first": ("U8", (large,)), "second": ("F32", (2, 2))}
        assert header.starts[0] % 64 == 0
        assert header.starts[1] > 1 << 32
        assert blob.read(header.starts[1], header.stops[1]) == records[2][1]
    with zipfile.ZipFile(tmp_path / "s.bin") as other:
        assert [info.file_size for info in other.infolist()] == sizes


def wrapped(value: bytes, elements: int = 6) -> bytes:
    """Return an archive with one tensor `w` and one storage of so many F32."""
    return archive(pickled(pickled_table({"w": value})), [bytes(4 * elements)])


F32 = storage("F32", "0", 6)
V2 = ("torch._utils", "_rebuild_tensor_v2")
PLAIN = tensor("F32", (2, 3), "0")
KINDS: dict[str, tuple[bytes, Kind]] = {
    "version 1": (call("torch._utils", "_rebuild_tensor", F32, number(0), numbers((2, 3)), numbers((3, 1))), Kind("F32", (2, 3))),
    "turned": (call(*V2, F32, number(0), numbers((3, 2)), numbers((1, 3)), b"\x89", b"N"), Kind("F32", (3, 2))),
    "spread": (call(*V2, F32, number(0), numbers((9, 6)), numbers((0, 1)), b"\x89", b"N"), Kind("F32", (9, 6))),
    "every second": (call(*V2, F32, number(1), numbers((3,)), numbers((2,)), b"\x89", b"N"), Kind("F32", (3,))),
    "parameter": (call("torch._utils", "_rebuild_parameter", PLAIN, b"\x88", b"N"), Kind("F32", (2, 3))),
    "parameter with state": (
        call("torch._utils", "_rebuild_parameter_with_state", PLAIN, b"\x88", b"N", b"}"),
        Kind("F32", (2, 3)),
    ),
    "typed": (
        call(
            "torch._tensor",
            "_rebuild_from_type_v2",
            named(*V2),
            named("torch.nn.parameter", "Parameter"),
            row(F32, number(0), numbers((6,)), numbers((1,)), b"\x89", b"N"),
            b"}",
        ),
        Kind("F32", (6,)),
    ),
    "four bits": (
        call("torch._utils", "_rebuild_tensor_v3", storage("F8_E4M3", "0", 24), number(0), numbers((3, 8)), numbers((8, 1)), b"\x89", b"N", named("torch", "float4_e2m1fn_x2")),
        Kind("F4", (3, 16)),
    ),
    "sparse": (
        call(
            "torch._utils",
            "_rebuild_sparse_tensor",
            call("torch.serialization", "_get_layout", text("torch.sparse_coo")),
            row(PLAIN, tensor("F32", (6,), "0"), call("torch", "Size", numbers((90, 80))), b"\x88"),
        ),
        Kind("F32", (90, 80)),
    ),
    "no bytes of its own": (
        call("torch._utils", "_rebuild_wrapper_subclass", named("torch", "Tensor"), named("torch", "bfloat16"), numbers((7, 8)), numbers((8, 1)), number(0), b"N", text("cpu"), b"\x89"),
        Kind("BF16", (7, 8)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_each_way_to_rebuild_a_tensor(name: str) -> None:
    value, kind = KINDS[name]
    header = read(wrapped(value))
    assert not header.faults
    assert list(header.kinds) == [kind]


def v2(
    offset: int = 0, shape: tuple[int, ...] = (6,), stride: tuple[int, ...] = (1,), held: bytes = F32
) -> bytes:
    return wrapped(call(*V2, held, number(offset), numbers(shape), numbers(stride), b"\x89", b"N"))


def meta() -> bytes:
    return wrapped(
        call(
            "torch._utils",
            "_rebuild_meta_tensor_no_storage",
            named("torch", "float32"),
            numbers((2,)),
            numbers((1,)),
            b"\x89",
        )
    )


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as target:
        target.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    return buffer.getvalue()


def encrypted(data: bytes) -> bytes:
    raw = bytearray(data)
    raw[raw.find(b"PK\1\2") + 8] |= 1
    return bytes(raw)


def twice(data: bytes) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("archive/data.pkl", pickled(OTHER_GLOBAL))
    return buffer.getvalue()


GOOD = torch_toy.file(ROWS[:2])
OLD = legacy(ROWS[:2])
DAMAGED: dict[str, tuple[bytes, FaultKind, str]] = {
    "empty": (b"", FOREIGN, "0 bytes"),
    "zeros": (bytes(4096), FOREIGN, "zeros"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n", FOREIGN, "LFS"),
    "web page": (b"<!DOCTYPE html>", FOREIGN, "HTML"),
    "safetensors": ((2).to_bytes(8, "little") + b"{}", FOREIGN, "safetensors"),
    "gguf": (b"GGUF\3\0\0\0" + bytes(60), FOREIGN, "GGUF"),
    "old ggml": (b"tjgg\1\0\0\0" + bytes(60), FOREIGN, "GGML"),
    "tar": (tar(), FOREIGN, "tar"),
    "noise": (b"\x13\x37" * 99, FOREIGN, "neither"),
    "plain pickle": (pickle.dumps({"a": 1}), FOREIGN, "plain Python pickle"),
    "no pickle in it": (archive(b"", more={}).replace(b"data.pkl", b"data.pkx"), FOREIGN, "without a data.pkl"),
    "torchscript": (archive(pickled(b"}"), more={"archive/code/x.py": b"x"}), FOREIGN, "TorchScript"),
    "cut short": (GOOD[:-30], TORN, "cut short"),
    "cut to its head": (GOOD[:100], TORN, "cut short"),
    "bytes lost inside": (GOOD[:400] + GOOD[410:], TORN, "lost or won bytes"),
    "bytes before": (b"MZ" + bytes(510) + GOOD, MALFORMED, "512 bytes before"),
    "two archives": (GOOD + GOOD, MALFORMED, f"{len(GOOD):,} bytes before"),
    "bytes after": (GOOD + bytes(7), ODD, "7 bytes after"),
    "packed": (archive(pickled(pickled_table({"w": PLAIN})), [bytes(24)], packed=True), ODD, "packs 4 of its 4"),
    "bomb": (archive(pickled(b"N0" * 5_000_000 + b"}"), packed=True), MALFORMED, "100 to 1"),
    "encrypted": (encrypted(GOOD), MALFORMED, "0x0001"),
    "one name twice": (twice(GOOD), MALFORMED, "two ZIP records"),
    "two names": (GOOD.replace(b"archive/data.pkl", b"archive/data.pkx", 1), MALFORMED, "two ways"),
    "leads out": (archive(pickled(b"}"), more={"../x": b""}), UNSAFE, "leads out"),
    "changed pickle": (GOOD.replace(b"a.weight", b"a.weighs", 1), MALFORMED, "CRC-32"),
    "byte order": (archive(pickled(b"}"), byteorder="middle"), MALFORMED, "'middle'"),
    "storage absent": (archive(pickled(pickled_table({"w": PLAIN}))), MALFORMED, "storage 0, which is not in the file"),
    "storage short": (wrapped(PLAIN, elements=5), MALFORMED, "24 bytes, of which the file holds 20"),
    "past its storage": (v2(offset=1), MALFORMED, "1 to 7 of a storage that has 6"),
    "stride below 0": (v2(stride=(-1,)), MALFORMED, "stride -1"),
    "size below 0": (v2(shape=(-6,)), MALFORMED, "size -6"),
    "offset below 0": (v2(offset=-1), MALFORMED, "offset -1"),
    "ranks differ": (v2(shape=(2, 3)), MALFORMED, "2 sizes and 1 strides"),
    "65 dimensions": (v2(shape=(1,) * 65, stride=(1,) * 65), MALFORMED, "65 dimensions"),
    "storage of a class": (v2(held=F32.replace(b"FloatStorage", b"Tensor")), MALFORMED, "torch.Tensor, which is none"),
    "storage of 2^62": (v2(held=storage("F32", "0", 1 << 62)), MALFORMED, "of which the file holds 24"),
    "no storage": (v2(held=b"N"), MALFORMED, "no storage"),
    "no arguments": (wrapped(named(*V2) + b")R"), MALFORMED, "too few arguments"),
    "meta device": (meta(), MALFORMED, "meta device"),
    "a number": (archive(pickled(number(1))), MALFORMED, "holds a number"),
    "a list": (archive(pickled(b"]")), MALFORMED, "holds a list"),
    "a tensor": (archive(pickled(PLAIN), [bytes(24)]), MALFORMED, "holds a tensor"),
    "number as key": (archive(pickled(b"}K\1K\2s")), MALFORMED, "a number as a key"),
    "name twice": (archive(pickled(b"}(" + 2 * (text("w") + PLAIN) + b"u"), [bytes(24)]), MALFORMED, "w twice"),
    "odd name": (archive(pickled(pickled_table({"w\x1b[2J": PLAIN})), [bytes(24)]), ODD, "1 tensor name"),
    "no STOP": (archive(b"\x80\x02}"), MALFORMED, "STOP"),
    "no opcode": (archive(b"\x80\x02}\xff."), MALFORMED, "0xff"),
    "empty stack": (archive(b"\x80\x02R."), MALFORMED, "never gave"),
    "unknown memo": (archive(b"\x80\x02h\x05."), MALFORMED, "the value 5"),
    "group not opened": (archive(b"\x80\x02t."), MALFORMED, "never opened"),
    "value past the end": (archive(b"\x80\x02X\xff\xff\xff\x7f."), MALFORMED, "2,147,483,647 bytes"),
    "not UTF-8": (archive(pickled(b"}X\1\0\0\0\xffK\1s")), MALFORMED, "UTF-8"),
    "storage by a text": (archive(pickled(text("x") + b"Q")), MALFORMED, "no tuple"),
    "protocol 4": (archive(b"\x80\x04}."), ODD, "protocol 4"),
    "global": (archive(pickled(OTHER_GLOBAL)), UNTRUSTED, "os.getpid"),
    "global by the stack": (archive(b"\x80\x04" + text("os") + text("getpid") + b"\x93)R."), UNTRUSTED, "os.getpid"),
    "global of a global": (archive(pickled(named("torch", "serialization.os.getpid") + b")R")), UNTRUSTED, "torch.serialization.os.getpid"),
    "INST": (archive(pickled(b"(ios\ngetpid\n")), UNTRUSTED, "os.getpid and uses the pickle opcodes INST"),
    "OBJ": (archive(pickled(b"(" + named("os", "getpid") + b"o")), UNTRUSTED, "OBJ"),
    "EXT1": (archive(pickled(b"\x82\1")), UNTRUSTED, "EXT1"),
    "call of a call": (archive(pickled(torch_toy.ORDERED + b")R")), UNTRUSTED, "REDUCE of what is no global"),
    "old pickle with a global": (b"\x80\x02" + OTHER_GLOBAL + b".", UNTRUSTED, "os.getpid"),
    "legacy with a global": (legacy(ROWS[:1], more={"x": OTHER_GLOBAL}), UNTRUSTED, "os.getpid"),
    "legacy cut in its storages": (OLD[:-3], TORN, "3 bytes too early; 1 tensor"),
    "legacy cut in its pickles": (OLD[:90], TORN, "ends"),
    "legacy and more": (OLD + b"12345", ODD, "5 bytes after"),
    "legacy of another count": (OLD.replace(struct.pack("<Q", 12) + bytes(8), struct.pack("<Q", 13) + bytes(8)), MALFORMED, "13 elements where its pickle names 12"),
    "legacy of another protocol": (OLD.replace(struct.pack("<i", 1001), struct.pack("<i", 1002), 1), MALFORMED, "protocol 1,001"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_each_damage_is_one_fault(name: str) -> None:
    data, kind, words = DAMAGED[name]
    fault = only(data)
    assert fault.kind is kind
    assert words in fault.message
    assert fault.message.startswith(("m.bin ", "w of m.bin "))


def test_a_global_that_is_called_again_and_again_is_told_once() -> None:
    many = {f"x{at}": named(f"os{at}", "system") + b")R" for at in range(9)}
    fault = only(torch_toy.file(ROWS, more=many))
    assert "os0.system, os1.system, os2.system, os3.system, os4.system and 4 more" in fault.message


def test_what_lies_before_a_foreign_global_is_listed() -> None:
    header = read(torch_toy.file(ROWS, more={"x": OTHER_GLOBAL}))
    assert [fault.kind for fault in header.faults] == [UNTRUSTED]
    assert list(header.names) == [name for name, _, _ in ROWS]


def test_a_name_that_forges_output_is_escaped() -> None:
    fault = only(archive(pickled(named("os\x1b[2J", "sys\u202etem") + b")R")))
    assert "\x1b" not in fault.message
    assert "\u202e" not in fault.message


def test_an_archive_cut_short_says_how_much_it_was_to_hold() -> None:
    data = torch_toy.file([("a", "F32", (300, 2)), ("b", "BF16", (50,))])
    fault = only(data[:900])
    assert (fault.expected, fault.found) == ("over 2,500 bytes, as its pickle lists", "900 bytes")
    assert only(data[:60]).expected is None


def test_damage_after_a_foreign_global_hides_nothing() -> None:
    kinds = [fault.kind for fault in read(archive(b"\x80\x02" + OTHER_GLOBAL + b"\xff\xff")).faults]
    assert kinds == [UNTRUSTED, MALFORMED]


def nested(**items: bytes) -> bytes:
    return archive(pickled(pickled_table(items)), [bytes(24)])


@pytest.mark.parametrize("key", ["model", "module", "state_dict", "model_state_dict", "net", "model0"])
def test_the_weights_of_a_training_checkpoint_keep_their_whole_path(key: str) -> None:
    moments = pickled_table({"exp_avg": PLAIN})
    header = read(
        nested(
            **{key: pickled_table({"w": PLAIN}), "optimizer": moments, "rng_state": PLAIN, "epoch": number(3)}
        )
    )
    assert not header.faults
    assert list(header.names) == [f"{key}.w"]
    assert header.metadata["epoch"] == 3
    assert header.metadata["optimizer.exp_avg"] == "a tensor"


def test_values_of_a_namespace_are_kept_beside_the_weights() -> None:
    args = (
        named("argparse", "Namespace")
        + b")\x81"
        + pickled_table({"tensor_model_parallel_size": number(8)})
        + b"b"
    )
    header = read(
        nested(model=pickled_table({"w": PLAIN}), args=args, checkpoint_version=b"G" + struct.pack(">d", 3.0))
    )
    assert not header.faults
    assert header.metadata["args.tensor_model_parallel_size"] == 8
    assert header.metadata["checkpoint_version"] == 3.0


def test_tables_without_a_usual_key_are_all_weights() -> None:
    header = read(
        nested(encoder=pickled_table({"w": PLAIN}), layers=b"](" + PLAIN + PLAIN + b"e", lr_scheduler=b"}")
    )
    assert list(header.names) == ["encoder.w", "layers.0", "layers.1"]


def test_an_optimizer_alone_has_no_weights() -> None:
    header = read(nested(optimizer=pickled_table({"exp_avg": PLAIN})))
    assert not header.faults
    assert not header.names


def test_a_table_under_many_names_does_not_grow_without_end() -> None:
    """Each table holds the one before it twice: a thousand bytes, 2^40 names."""
    steps = b"".join(b"}q\1(X\1\0\0\0ah\0X\1\0\0\0bh\0uq\0" for _ in range(40))
    fault = only(archive(pickled(b"}q\0X\1\0\0\0w" + PLAIN + b"s" + steps), [bytes(24)]))
    assert "repeats its tables" in fault.message


def test_a_table_that_holds_itself_ends() -> None:
    fault = only(archive(pickled(b"}q\0(X\1\0\0\0w" + PLAIN + b"X\1\0\0\0ah\0u"), [bytes(24)]))
    assert "repeats its tables" in fault.message


LIMITS = {
    "MAX_OPCODES": (b"K\1" * 9_000, "opcodes"),
    "MAX_STACK": (b"K\1" * 9_000, "values on its stack"),
    "MAX_MEMO": (b"".join(b"K\1r" + struct.pack("<I", at) for at in range(9_000)), "remembered values"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_of_the_machine_is_told(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in LIMITS:
        monkeypatch.setattr(pickle_machine, each, 1_000 if each == limit else 1 << 40)
    steps, what = LIMITS[limit]
    assert f"more than 1,000 {what}" in only(archive(pickled(steps))).message


def test_values_nested_too_deep_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_dict, "MAX_DEPTH", 10)
    assert "more than 10 deep" in only(archive(pickled(b")" + b"\x85" * 20))).message
    assert not read(archive(pickled(b"}X\1\0\0\0a" + b")" + b"\x85" * 5 + b"s"))).faults


def test_a_file_of_python_2_is_listed() -> None:
    """Its texts are byte strings: names, keys and kinds of storages."""
    old = PLAIN.replace(text("0"), b"U\x010").replace(text("storage"), b"U\x07storage")
    header = read(archive(pickled(b"}U\x01w" + old + b"s"), [bytes(24)]))
    assert not header.faults
    assert table(header) == {"w": ("F32", (2, 3))}


SHELLS = {
    "tuple": b"\x85",
    "list": b"q\x000]h\x00a",
    "table": b"q\x000}K\1h\x00s",
    "call": b"\x85q\x000" + named("collections", "OrderedDict") + b"h\x00R",
    "state": b"q\x000" + torch_toy.ORDERED + b"h\x00b",
}
"""Opcodes that put the last value into one more shell."""


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_nested_without_end_is_neither_walked_nor_freed_by_recursion(shell: str) -> None:
    """As value, as key and in the place of a shape; a recursion in C would end the process."""
    deep = b")" + SHELLS[shell] * 100_000
    for value in (deep, b"}" + deep + b"K\1s", PLAIN.replace(numbers((2, 3)), deep)):
        with collector_off():
            assert read(archive(pickled(value), [bytes(24)])).faults
    parts = [number(0x1950A86A20F9469CFC6C), number(1001), b"}" + deep + b"K\1s", b"}", b"]"]
    assert not read(b"".join(map(pickled, parts))).names


def test_big_endian_files_are_listed_and_say_so() -> None:
    header = read(archive(pickled(pickled_table({"w": PLAIN})), [bytes(24)], byteorder="big"))
    assert not header.faults
    assert header.metadata["byteorder"] == "big"


def test_a_legacy_head_larger_than_the_first_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from weightlint.torch_files import legacy as torch_legacy

    monkeypatch.setattr(torch_legacy, "_FIRST", 64)
    assert table(read(legacy(ROWS))) == {name: (dtype, shape) for name, dtype, shape in ROWS}


FIXTURES = Path(__file__).parents[1] / "fixtures" / "torch"
SPELLINGS = {
    "torch.float32": "F32",
    "torch.bfloat16": "BF16",
    "torch.float16": "F16",
    "torch.float8_e4m3fn": "F8_E4M3",
    "torch.int64": "I64",
    "torch.bool": "BOOL",
}


@pytest.mark.parametrize("name", ["zip.bin", "legacy.bin"])
def test_files_that_torch_wrote_are_listed_as_torch_says(name: str) -> None:
    said = json.loads((FIXTURES / "expected.json").read_text())
    data = (FIXTURES / name).read_bytes()
    header = read(data)
    assert not header.faults
    assert table(header) == {key: (SPELLINGS[dtype], tuple(shape)) for key, (dtype, shape, _) in said.items()}
    spans = dict(zip(header.names, zip(header.starts, header.stops, strict=True), strict=True))
    assert {key: stop - start for key, (start, stop) in spans.items()} == {
        key: size for key, (*_, size) in said.items()
    }
    assert data[slice(*spans["embed.weight"])] == struct.pack("<12f", *range(12))
    assert spans["embed.weight"] == spans["head.weight"]
