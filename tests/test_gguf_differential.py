"""Our GGUF reader beside the gguf package's, on random valid files and on damaged ones.

Where we find nothing, the package reads the file and lists the same table, keys and places. Where the
package accepts and we do not, llama.cpp's C reader is on our side: names of 64 bytes, five dimensions,
offsets that are not the running sum, empty keys, arrays of arrays (gguf.cpp).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import gguf
import pytest
from gguf_toy import GgufFile, GgufTensor, llama
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlint.ggml import BY_NAME
from weightlint.gguf.reader import read
from weightlint.gguf.tensors import row_major
from weightlint.index import FaultKind
from weightlint.store import MemoryBlob

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.index import Header

KNOWN_TYPES = [
    it.name for it in gguf.GGMLQuantizationType if it.name in BY_NAME and it.name not in {"Q8_1", "Q2_0"}
]

words = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["C", "Z"]), max_size=12
)
numbers = {
    "u8": st.integers(0, 255),
    "i16": st.integers(-(2**15), 2**15 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "f32": st.floats(width=32, allow_nan=False),
    "bool": st.booleans(),
    "u64": st.integers(0, 2**64 - 1),
    "f64": st.floats(allow_nan=False),
    "str": words,
}
values = st.one_of(
    *(st.tuples(st.just(type_), items) for type_, items in numbers.items()),
    *(
        st.tuples(st.just("arr"), st.tuples(st.just(type_), st.lists(items, min_size=1, max_size=5)))
        for type_, items in numbers.items()
    ),
)
keys = st.dictionaries(words.filter(bool).map("k.{}".format), values, max_size=6).map(
    lambda table: [("general.architecture", "str", "x"), *((key, *value) for key, value in table.items())]
)


@st.composite
def tensors(draw: st.DrawFn) -> list[GgufTensor]:
    made = []
    for name in draw(st.lists(words.filter(bool), max_size=6, unique=True)):
        type_ = draw(st.sampled_from(KNOWN_TYPES))
        dims = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
        made.append(GgufTensor(name, (dims[0] * BY_NAME[type_].block, *dims[1:]), type_))
    return made


files = st.builds(
    GgufFile,
    keys=keys,
    tensors=tensors(),
    version=st.sampled_from([2, 3]),
    order=st.sampled_from("<>"),
)


def ours(header: Header) -> list[tuple[Any, ...]]:
    """Return name, row-major shape, type and byte of every tensor."""
    rows = zip(header.names, header.kinds, header.starts, strict=True)
    return [(name, kind.shape, kind.dtype, start) for name, kind, start in rows]


def theirs(path: Path) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """Read a file with the gguf package."""
    reader = gguf.GGUFReader(path)
    table = [
        (it.name, row_major(tuple(map(int, it.shape))), it.tensor_type.name, int(it.data_offset))
        for it in reader.tensors
    ]
    return table, {key: it for key, it in reader.fields.items() if not key.startswith("GGUF.")}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf") / "m.gguf"


@settings(deadline=None)
@given(files)
def test_a_valid_file_is_silent_and_read_alike(path: Path, file: GgufFile) -> None:
    header = read(MemoryBlob(file.data()), "m.gguf")
    turned = [] if file.order == "<" else [FaultKind.MALFORMED]
    assert [fault.kind for fault in header.faults] == turned
    file.write(path)
    table, found = theirs(path)
    assert ours(header) == table
    mine: dict[str, Any] = {key: getattr(value, "value", None) for key, value in header.metadata.items()}
    assert mine == {key: it.contents() for key, it in found.items()}


WHOLE = llama()
HEAD = len(WHOLE.head())


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, HEAD - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_where_we_find_nothing_the_package_agrees(path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE.data())
    for at, value in changes:
        data[at] = value
    header = read(MemoryBlob(bytes(data)), "m.gguf")
    if not header.faults:
        path.write_bytes(data)
        table, _ = theirs(path)
        assert ours(header) == table


@settings(deadline=None)
@given(st.integers(0, len(WHOLE.data())))
def test_what_the_package_refuses_of_a_cut_file_we_refuse(path: Path, stop: int) -> None:
    data = WHOLE.data()[:stop]
    if not read(MemoryBlob(data), "m.gguf").faults:
        path.write_bytes(data)
        assert theirs(path)[0]


@pytest.mark.parametrize(
    "file",
    [
        GgufFile(tensors=[GgufTensor("n" * 64, (32,))]),
        GgufFile(tensors=[GgufTensor("t", (32, 1, 1, 1, 1), 0)]),
        GgufFile(tensors=[GgufTensor("a", (32,)), GgufTensor("b", (32,))], offsets=[0, 0]),
        GgufFile(tensors=[GgufTensor("a", (32,)), GgufTensor("b", (32,))], offsets=[128, 0]),
        GgufFile(keys=[("general.architecture", "str", "x"), ("", "u32", 1)]),
        GgufFile(keys=[]),
    ],
    ids=["64 bytes", "five dimensions", "overlap", "another order", "empty key", "no architecture"],
)
def test_what_the_package_accepts_and_llama_does_not(path: Path, file: GgufFile) -> None:
    path.write_bytes(file.data() + bytes(128))
    theirs(path)
    assert read(MemoryBlob(path.read_bytes()), "m.gguf").faults


def test_a_type_that_the_package_does_not_know_yet(path: Path) -> None:
    file = GgufFile(tensors=[GgufTensor("t", (64, 2), "Q2_0")])
    assert not read(MemoryBlob(file.data()), "m.gguf").faults
    file.write(path)
    with contextlib.suppress(ValueError):
        theirs(path)
