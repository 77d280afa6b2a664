"""The torch reader against torch itself: what torch.save wrote, and what torch.load makes of damaged files."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
import torch_toy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weightlint.formats.torch import FORMAT
from weightlint.index import FaultKind, Header
from weightlint.store import MemoryBlob

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

SPELLINGS = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL", "uint16": "U16", "uint32": "U32",
    "uint64": "U64", "complex64": "C64", "complex128": "C128", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2", "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip
"""House spelling by torch's name, as safetensors spells them where it can."""

quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)


class Marked(torch.Tensor):  # type: ignore[misc, name-defined] # known at run time only
    """A tensor of a class of our own."""


def saved(value: object, *, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def read(data: bytes) -> Header:
    return FORMAT.read(MemoryBlob(data), "m.bin")


def table(header: Header) -> dict[str, tuple[object, object]]:
    return {name: (kind.dtype, kind.shape) for name, kind in zip(header.names, header.kinds, strict=True)}


def truth(value: Any, path: str = "") -> dict[str, Any]:
    """Return the tensors of a nested value by dotted path."""
    if isinstance(value, torch.Tensor):
        return {path: value}
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, (list, tuple))
        else ()
    )
    found: dict[str, Any] = {}
    for key, each in items:
        found |= truth(each, f"{path}.{key}" if path else str(key))
    return found


def spelled(tensors: dict[str, Any]) -> dict[str, tuple[object, object]]:
    return {
        name: (SPELLINGS[str(tensor.dtype).removeprefix("torch.")], tuple(tensor.shape))
        for name, tensor in tensors.items()
    }


def bytes_of(tensor: Any) -> bytes:
    flat = tensor.detach().as_subclass(torch.Tensor).contiguous().flatten()
    return bytes(flat.view(torch.uint8).tolist()) if flat.numel() else b""


@st.composite
def tensors(draw: st.DrawFn) -> Any:
    """Draw a tensor: a whole storage, a part of one, a turned one; plain, parameter or subclass."""
    dtype = getattr(torch, draw(st.sampled_from(sorted(SPELLINGS))))
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    size = 1
    for dim in shape:
        size *= dim
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    raw = torch.arange((before + size + after) * dtype.itemsize, dtype=torch.uint8).view(dtype)
    if dtype is torch.bool:
        raw = torch.zeros(before + size + after, dtype=dtype)
    made = raw[before : before + size].reshape(shape)
    if draw(st.booleans()) and made.dim() > 1:
        made = made.transpose(0, 1)
    match draw(st.sampled_from(["plain", "plain", "parameter", "buffer"])):
        case "parameter" if dtype.is_floating_point and dtype.itemsize > 1:
            return torch.nn.Parameter(made)
        case "buffer":
            return torch.nn.Buffer(made)
    return made


names = st.text("abcxyz.0123", min_size=1, max_size=8)
dicts = st.dictionaries(names, tensors(), min_size=1, max_size=6)


@quick
@given(drawn=dicts, zipped=st.booleans(), ordered=st.booleans())
def test_a_state_dict_is_listed_as_torch_has_it(
    drawn: dict[str, Any], *, zipped: bool, ordered: bool
) -> None:
    data = saved(OrderedDict(drawn) if ordered else drawn, zipped=zipped)
    header = read(data)
    assert not header.faults
    assert table(header) == spelled(drawn)
    for name, start, stop in zip(header.names, header.starts, header.stops, strict=True):
        if drawn[name].is_contiguous() and drawn[name].numel():
            assert data[start:stop] == bytes_of(drawn[name]), name


@quick
@given(
    st.recursive(
        tensors(), lambda inner: st.dictionaries(names, inner, max_size=3) | st.lists(inner, max_size=3)
    )
)
def test_nested_tables_give_dotted_paths(inner: Any) -> None:
    value = {"model": {"layers": inner}}
    header = read(saved(value))
    assert not header.faults
    assert table(header) == spelled(truth(value))


def test_tied_names_share_their_bytes_and_are_no_fault() -> None:
    weight = torch.zeros(4, 2)
    for zipped in (True, False):
        header = read(saved({"embed": weight, "head": weight, "row": weight[1]}, zipped=zipped))
        assert not header.faults
        assert header.starts[0] == header.starts[1]
        assert header.starts[2] == header.starts[0] + 8
        assert table(header)["row"] == ("F32", (2,))


def test_a_module_s_state_dict_with_its_metadata() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    state = module.state_dict()
    header = read(saved(state))
    assert not header.faults
    assert table(header) == spelled(dict(state))


def test_a_training_checkpoint_gives_the_weights_only() -> None:
    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    value = {
        "model_state_dict": module.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler": schedule.state_dict(),
        "rng_state": torch.get_rng_state(),
        "epoch": 3,
    }
    header = read(saved(value))
    assert not header.faults
    assert list(header.names) == ["model_state_dict.weight", "model_state_dict.bias"]
    assert header.metadata["epoch"] == 3


def test_sparse_and_quantised_tensors_are_listed() -> None:
    dense = torch.eye(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = {
            "coo": dense.to_sparse(),
            "csr": dense.to_sparse_csr(),
            "q": torch.quantize_per_tensor(dense, 0.1, 0, torch.qint8),
            "qc": torch.quantize_per_channel(dense, torch.ones(3), torch.zeros(3), 0, torch.quint8),
        }
    header = read(saved(value))
    assert not header.faults
    assert table(header) == {
        "coo": ("F32", (3, 3)),
        "csr": ("F32", (3, 3)),
        "q": ("QINT8", (3, 3)),
        "qc": ("QUINT8", (3, 3)),
    }


def test_tensors_of_the_meta_device_have_no_values() -> None:
    header = read(saved({"w": torch.empty(2, 3, device="meta"), "b": torch.zeros(2)}))
    (fault,) = header.faults
    assert (fault.kind, fault.tensors) == (FaultKind.MALFORMED, ("w",))
    assert "meta device" in fault.message
    assert table(header) == {"w": ("F32", (2, 3)), "b": ("F32", (2,))}


def test_a_subclass_of_tensor_is_listed_and_its_class_is_told() -> None:
    value = {"w": torch.ones(2, 3).as_subclass(Marked), "b": torch.zeros(2)}
    header = read(saved(value))
    (fault,) = header.faults
    assert fault.kind is FaultKind.UNTRUSTED
    assert "test_torch_oracle.Marked" in fault.message
    assert table(header) == {"w": ("F32", (2, 3)), "b": ("F32", (2,))}


def test_a_whole_module_is_told_by_the_classes_that_it_asks_for() -> None:
    header = read(saved(torch.nn.Linear(3, 2)))
    (fault,) = header.faults
    assert (fault.kind, fault.lost) == (FaultKind.UNTRUSTED, True)
    assert "torch.nn.modules.linear.Linear" in fault.message


def test_a_torchscript_archive_is_told() -> None:
    buffer = io.BytesIO()
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), buffer)
    (fault,) = read(buffer.getvalue()).faults
    assert fault.kind is FaultKind.FOREIGN
    assert "TorchScript" in fault.message


def test_a_file_without_checksums_is_read() -> None:
    torch.serialization.set_crc32_options(False)
    try:
        data = saved({"w": torch.ones(3)})
    finally:
        torch.serialization.set_crc32_options(True)
    header = read(data)
    assert not header.faults
    assert table(header) == {"w": ("F32", (3,))}


def test_torch_takes_the_archives_of_the_other_tests(tmp_path: Path) -> None:
    """What tests write by hand is what torch would write: it loads, small and beyond four gigabytes."""
    rows = [("a", "BF16", (2, 3)), ("b", "F8_E4M3", (4,)), ("c", "I64", ())]
    assert loaded(torch_toy.file(rows)) == {name: (dtype, shape) for name, dtype, shape in rows}
    # torch itself cannot load untyped storages, so no FP8, from the old layout
    del rows[1]
    assert loaded(torch_toy.legacy(rows)) == {name: (dtype, shape) for name, dtype, shape in rows}
    large = 1 << 32
    pickle = torch_toy.pickled(torch_toy.table({"w": torch_toy.tensor("U8", (large,), "0")}))
    with (tmp_path / "s.bin").open("wb") as target:
        torch_toy.padded(
            [("s/data.pkl", len(pickle), pickle), ("s/data/0", large, b""), ("s/version", 2, b"3\n")], target
        )
    value = torch.load(tmp_path / "s.bin", weights_only=True, map_location="meta", mmap=True)
    assert value["w"].shape == (large,)


BASE = {
    "a": torch.arange(6.0).reshape(2, 3),
    "b": torch.zeros(3, dtype=torch.int8),
    "c": {"d": torch.ones(2)},
}
ZIPPED, LEGACY = saved(BASE), saved(BASE, zipped=False)
RECORDS = zipfile.ZipFile(io.BytesIO(ZIPPED))


def loaded(data: bytes) -> dict[str, tuple[object, object]] | None:
    """Return the table that torch gives, None if it or zipfile refuses the file."""
    try:
        if data.startswith(b"PK") and zipfile.ZipFile(io.BytesIO(data)).testzip() is not None:
            return None
        value = torch.load(io.BytesIO(data), weights_only=True, map_location="meta")
        # the meta device does not look at how large a storage is
        torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
        return spelled(truth(value))
    except Exception:  # noqa: BLE001 -- whatever they raise, they refuse
        return None


def agrees(data: bytes) -> None:
    """Where torch and zipfile find a file sound we list the same, or say what we do not trust."""
    header, said = read(data), loaded(data)
    if said is not None and not any(fault.lost for fault in header.faults):
        assert table(header) == said


def changed(data: bytes, at: int, value: int) -> bytes:
    raw = bytearray(data)
    raw[at % len(raw)] = value
    return bytes(raw)


def repacked(pickle: bytes) -> bytes:
    """Write the archive again with another pickle and right checksums."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for info in RECORDS.infolist():
            data = pickle if info.filename.endswith("data.pkl") else RECORDS.read(info)
            target.writestr(info.filename, data)
    return buffer.getvalue()


damage = settings(deadline=None, max_examples=400)


@damage
@given(st.sampled_from([ZIPPED, LEGACY]), st.integers(0, 1 << 20), st.integers(0, 255))
def test_one_byte_changed_anywhere(data: bytes, at: int, value: int) -> None:
    agrees(changed(data, at, value))


@damage
@given(st.integers(0, 1 << 20), st.integers(0, 255))
def test_one_byte_changed_in_the_pickle_with_a_right_checksum(at: int, value: int) -> None:
    agrees(repacked(changed(RECORDS.read("archive/data.pkl"), at, value)))


@damage
@given(st.sampled_from([ZIPPED, LEGACY]), st.integers(1, 1 << 20), st.binary(max_size=3))
def test_a_cut_or_lengthened_file(data: bytes, cut: int, tail: bytes) -> None:
    agrees(data[: -(cut % len(data)) or None] + tail)


def test_every_cut_of_a_legacy_file_is_told() -> None:
    for cut in range(1, len(LEGACY)):
        assert read(LEGACY[:cut]).faults, cut


def test_every_cut_of_an_archive_is_told() -> None:
    for cut in range(1, len(ZIPPED)):
        assert read(ZIPPED[:cut]).faults, cut


def test_every_byte_of_the_pickle_is_guarded_by_its_checksum() -> None:
    pickle = RECORDS.read("archive/data.pkl")
    start = ZIPPED.index(pickle)
    for at in range(start, start + len(pickle)):
        (fault,) = [
            it for it in read(changed(ZIPPED, at, ZIPPED[at] ^ 1)).faults if it.kind is FaultKind.MALFORMED
        ]
        assert f"{zlib.crc32(pickle):08x}" in fault.message
