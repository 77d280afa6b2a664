"""Folders that torch.distributed.checkpoint wrote, without a process group."""

from __future__ import annotations

import importlib
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weightlint.folder import open_folder
from weightlint.store import MemoryStore
from weightlint.stores.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

SPELLINGS = {"float32": "F32", "bfloat16": "BF16", "int64": "I64", "bool": "BOOL", "float8_e4m3fn": "F8_E4M3"}


def save(state: dict[str, Any], folder: Path) -> None:
    dcp: Any = importlib.import_module("torch.distributed.checkpoint")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(state, checkpoint_id=str(folder), no_dist=True)


def flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {
            k: v
            for key, each in value.items()
            for k, v in flat(each, f"{path}.{key}" if path else key).items()
        }
    return {path: value}


names = st.text("abcxyz01", min_size=1, max_size=5)
tensors = st.builds(
    lambda kind, shape: torch.zeros(shape).to(getattr(torch, kind)),
    st.sampled_from(sorted(SPELLINGS)),
    st.lists(st.integers(1, 4), max_size=3),
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    inner=st.recursive(
        tensors, lambda each: st.dictionaries(names, each, min_size=1, max_size=3), max_leaves=6
    )
)
def test_what_it_saved_is_listed(tmp_path_factory: pytest.TempPathFactory, inner: Any) -> None:
    folder = tmp_path_factory.mktemp("dcp")
    state = {"model": {"layers": inner}, "step": 3, "note": "text"}
    save(state, folder)
    checkpoint = open_folder(LocalStore(folder), target="ckpt")
    index = checkpoint.index
    assert not checkpoint.faults
    assert {name: tuple(index.kind(row)) for row, name in enumerate(index.names)} == {
        name: (SPELLINGS[str(it.dtype).removeprefix("torch.")], tuple(it.shape))
        for name, it in flat(state).items()
        if isinstance(it, torch.Tensor)
    }


def test_an_optimizer_is_no_part_of_the_model(tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    save({"model": module.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path)
    checkpoint = open_folder(LocalStore(tmp_path), target="ckpt")
    assert sorted(checkpoint.index.names) == ["model.bias", "model.weight"]


def test_chunks_of_several_ranks_as_torch_describes_them() -> None:
    from torch.distributed.checkpoint import metadata as parts
    from torch.distributed.checkpoint.filesystem import _StorageInfo

    def size(*numbers: int) -> Any:
        return torch.Size(numbers)

    chunks = [parts.ChunkStorageMetadata(size(2 * rank, 0), size(2, 3)) for rank in range(4)]
    table = parts.Metadata(
        state_dict_metadata={
            "w": parts.TensorStorageMetadata(parts.TensorProperties(torch.bfloat16), size(8, 3), chunks)
        },
        storage_data={
            parts.MetadataIndex("w", chunk.offsets, at): _StorageInfo(f"__{at}_0.distcp", 0, 12)
            for at, chunk in enumerate(chunks)
        },
    )
    files = {f"__{rank}_0.distcp": bytes(12) for rank in range(4)}
    checkpoint = open_folder(MemoryStore({".metadata": pickle.dumps(table), **files}), target="ckpt")
    assert not checkpoint.faults
    assert tuple(checkpoint.index.kind(0)) == ("BF16", (8, 3))
    assert len(checkpoint.index.files) == 4
