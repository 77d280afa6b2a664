"""Small torch files for tests, written without torch: pickles by hand, archives by zipfile.

The opcodes are those of torch.save (protocol 2), without the memo.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import BinaryIO

STORAGES = {
    "F64": ("DoubleStorage", 8),
    "F32": ("FloatStorage", 4),
    "F16": ("HalfStorage", 2),
    "BF16": ("BFloat16Storage", 2),
    "I64": ("LongStorage", 8),
    "I32": ("IntStorage", 4),
    "I8": ("CharStorage", 1),
    "U8": ("ByteStorage", 1),
    "BOOL": ("BoolStorage", 1),
}
UNTYPED = {"F8_E4M3": ("float8_e4m3fn", 1), "F8_E8M0": ("float8_e8m0fnu", 1), "F8_E5M2": ("float8_e5m2", 1)}
ORDERED = b"ccollections\nOrderedDict\n)R"
OTHER_GLOBAL = b"cos\ngetpid\n)R"
"""A call of what no state dict needs; harmless, should it ever be made."""


def number(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def row(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def numbers(values: Iterable[int]) -> bytes:
    return row(*map(number, values))


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def call(module: str, name: str, *args: bytes) -> bytes:
    return named(module, name) + row(*args) + b"R"


def table(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def pickled(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def strides(shape: Sequence[int]) -> list[int]:
    return [prod(shape[at + 1 :]) for at in range(len(shape))]


def nbytes(dtype: str, shape: Sequence[int]) -> int:
    return prod(shape) * ({**STORAGES, **UNTYPED}[dtype][1])


def storage(dtype: str, key: str, elements: int, *more: bytes) -> bytes:
    module, name = ("torch", STORAGES[dtype][0]) if dtype in STORAGES else ("torch.storage", "UntypedStorage")
    return row(text("storage"), named(module, name), text(key), text("cpu"), number(elements), *more) + b"Q"


def tensor(
    dtype: str,
    shape: Sequence[int],
    key: str,
    *,
    offset: int = 0,
    elements: int | None = None,
    legacy: bool = False,
) -> bytes:
    """Return a tensor as torch.save writes it: contiguous, over the storage of this key."""
    held = storage(dtype, key, prod(shape) if elements is None else elements, *([b"N"] if legacy else []))
    args = [held, number(offset), numbers(shape), numbers(strides(shape)), b"\x89", ORDERED]
    if dtype in STORAGES:
        return call("torch._utils", "_rebuild_tensor_v2", *args)
    return call("torch._utils", "_rebuild_tensor_v3", *args, named("torch", UNTYPED[dtype][0]))


def archive(
    pickle: bytes,
    storages: Sequence[bytes] = (),
    *,
    root: str = "archive",
    byteorder: str = "little",
    packed: bool = False,
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return a file as torch.save writes it: pickle, byte order, storages."""
    buffer = io.BytesIO()
    records = {
        f"{root}/data.pkl": pickle,
        f"{root}/byteorder": byteorder.encode(),
        **{f"{root}/data/{key}": data for key, data in enumerate(storages)},
        f"{root}/version": b"3\n",
        **(more or {}),
    }
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as target:
        for name, data in records.items():
            target.writestr(name, data)
    return buffer.getvalue()


Row = tuple[str, str, Sequence[int]]
"""Name, dtype, shape."""


def file(rows: Sequence[Row], *, more: Mapping[str, bytes] | None = None) -> bytes:
    """Return a file of zeros with these tensors, and with other values under the names in `more`."""
    items = {name: tensor(dtype, shape, str(key)) for key, (name, dtype, shape) in enumerate(rows)}
    return archive(pickled(table({**items, **(more or {})})), [bytes(nbytes(*each[1:])) for each in rows])


def legacy(rows: Sequence[Row], *, more: Mapping[str, bytes] | None = None) -> bytes:
    """Return the same in the layout before release 1.6."""
    items = {
        name: tensor(dtype, shape, str(key), legacy=True) for key, (name, dtype, shape) in enumerate(rows)
    }
    keys = b"](" + b"".join(text(str(key)) for key in range(len(rows))) + b"e"
    system = table({"protocol_version": number(1001), "little_endian": b"\x88"})
    parts = [number(0x1950A86A20F9469CFC6C), number(1001), system, table({**items, **(more or {})}), keys]
    data = [struct.pack("<Q", prod(shape)) + bytes(nbytes(dtype, shape)) for _, dtype, shape in rows]
    return b"".join(map(pickled, parts)) + b"".join(data)


def padded(records: Sequence[tuple[str, int, bytes]], target: BinaryIO) -> None:
    """Write an archive as torch's own writer does: `records` are name, size and bytes, zeros where they are fewer.

    Each record is padded to 64 bytes by an extra field, its header has zeros, checksum and sizes follow
    it, and the end is in 64 bits (caffe2/serialize/inline_container.cc, miniz).
    """
    directory = b""
    for name, size, data in records:
        at, raw = target.tell(), name.encode()
        extra = -(at + 34 + len(raw)) % 64
        crc = zlib.crc32(data) if len(data) == size else 0
        target.write(struct.pack("<4s5H3L2H", b"PK\x03\x04", 0, 0x808, 0, 0, 0, 0, 0, 0, len(raw), 4 + extra))
        target.write(raw + b"FB" + struct.pack("<H", extra) + b"Z" * extra + data)
        target.seek(size - len(data), 1)
        wide = size >= 1 << 32 or at >= 1 << 32
        form = "<4sLQQ" if wide else "<4s3L"
        target.write(struct.pack(form, b"PK\x07\x08", crc, size, size))
        directory += _entry(raw, crc, size, at)
    end = target.tell()
    target.write(directory)
    count, place = len(records), target.tell()
    sizes = count, count, len(directory), end
    target.write(struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 0, 0, 0, 0, *sizes))
    target.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, place, 1))
    short = [
        min(number, full)
        for number, full in zip(sizes, (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF), strict=True)
    ]
    target.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, *short, 0))


def _entry(raw: bytes, crc: int, size: int, at: int) -> bytes:
    full = 0xFFFFFFFF
    wide = [number for number in (size, size, at) if number >= full]
    extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    sizes = min(size, full), min(size, full)
    fields = (0, 0, 0x808, 0, 0, 0, crc, *sizes, len(raw), len(extra), 0, 0, 0, 0, min(at, full))
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fields) + raw + extra
