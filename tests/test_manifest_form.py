"""What `weightlint manifest` writes: it has the form of its schema, and its hashes are those of hashlib and xxhash."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import gguf
import jsonschema
import numpy as np
import pytest
import xxhash
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.numpy import save_file
from toy import FIXTURES

from weightlint import api
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.finding import Level

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = json.loads((FIXTURES.parent / "schemas" / "_meta" / "manifest.schema.json").read_text())
EXPERTS = 6


def normal(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def of_safetensors(folder: Path) -> None:
    """Write two shards with a norm, a matrix, stacked experts, a tensor without bytes, and files beside them."""
    save_file(
        {"norm.weight": normal(64), "none": normal(0, 3)}, str(folder / "model-00001-of-00002.safetensors")
    )
    stacked = {
        "model.layers.0.mlp.experts.gate_up_proj": normal(EXPERTS, 64, 32),
        "head.weight": normal(7, 9),
    }
    save_file(stacked, str(folder / "model-00002-of-00002.safetensors"))
    (folder / "config.json").write_text("{}")
    (folder / "empty.txt").touch()


def of_gguf(folder: Path) -> None:
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    kind = gguf.GGMLQuantizationType.Q8_0
    packed = gguf.quants.quantize(normal(EXPERTS, 32, 256), kind)
    writer.add_tensor("blk.0.ffn_up_exps.weight", packed, raw_dtype=kind)
    writer.add_tensor("blk.0.attn_norm.weight", normal(250))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def of_torch(folder: Path) -> None:
    torch = pytest.importorskip("torch", reason="it writes the file")
    matrix = torch.randn(64, 32)
    tied = {
        "a.weight": matrix,
        "b.weight": matrix,
        "c.weight": matrix[3:9],
        "d": torch.ones(3, dtype=torch.int8),
    }
    torch.save(tied, folder / "pytorch_model.bin")


def of_old_torch(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes((FIXTURES / "torch" / "legacy.bin").read_bytes())


def of_quantised(folder: Path) -> None:
    (folder / "model.gguf").write_bytes((FIXTURES / "quantised" / "ggml.gguf").read_bytes())


ALL = [of_safetensors, of_gguf, pytest.param(of_torch, marks=pytest.mark.oracle), of_old_torch, of_quantised]


@pytest.mark.parametrize("made", ALL)
def test_a_manifest_has_its_form_and_true_hashes(tmp_path: Path, made: Callable[[Path], None]) -> None:
    made(tmp_path)
    table = json.loads(api.manifest(str(tmp_path)))
    jsonschema.Draft202012Validator(SCHEMA).validate(table)
    assert [*table["files"]] == sorted(path.name for path in tmp_path.iterdir())
    for name, entry in table["files"].items():
        data = (tmp_path / name).read_bytes()
        assert entry["size"] == len(data)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        at = 0
        for _, _, _, start, stop, prints in entry["pieces"]:
            assert start == at
            part = (stop - start) // len(prints)
            parts = [data[start + which * part : start + (which + 1) * part] for which in range(len(prints))]
            assert prints == [xxhash.xxh3_128(each).hexdigest() for each in parts]
            at = stop
        assert at == len(data)


def test_stacked_experts_have_a_hash_each(tmp_path: Path) -> None:
    of_safetensors(tmp_path)
    table = json.loads(api.manifest(str(tmp_path)))
    file = "model-00002-of-00002.safetensors"
    counts = {name: len(prints) for name, *_, prints in table["files"][file]["pieces"]}
    assert counts == {"": 1, "model.layers.0.mlp.experts.gate_up_proj": EXPERTS, "head.weight": 1}
    with safe_open(str(tmp_path / file), "np") as opened:
        array = opened.get_tensor("model.layers.0.mlp.experts.gate_up_proj")
    (listed,) = (it for it in table["files"][file]["pieces"] if "experts" in it[0])
    assert listed[1:3] == ["F32", [EXPERTS, 64, 32]]
    assert listed[5] == [xxhash.xxh3_128(expert.tobytes()).hexdigest() for expert in array]


@pytest.mark.parametrize("made", ALL)
def test_a_manifest_of_a_folder_is_silent_on_it(tmp_path: Path, made: Callable[[Path], None]) -> None:
    """And one byte of any file is told, whatever the file."""
    folder = tmp_path / "model"
    folder.mkdir()
    made(folder)
    for suffix in ("json", "json.gz"):
        path = tmp_path / f"listed.{suffix}"
        assert CliRunner().invoke(app, ["manifest", str(folder), "-o", str(path)]).exit_code == 0
        assert [
            it for it in api.verify(str(folder), manifest=str(path)).findings if it.level is Level.ERROR
        ] == []
    jsonschema.validate(json.loads(gzip.decompress(path.read_bytes())), SCHEMA)
    for file in folder.iterdir():
        whole = file.read_bytes()
        for at in {len(whole) // 3, len(whole) - 1} if whole else ():
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            found = api.verify(str(folder), manifest=str(path), select=["WL705"]).findings
            headers = api.verify(str(folder)).findings
            assert [it.place.files for it in found] == [(file.name,)] or headers, (file.name, at)
        file.write_bytes(whole)


def test_a_manifest_within_its_folder_leaves_itself_out(tmp_path: Path) -> None:
    of_safetensors(tmp_path)
    path = tmp_path / "listed.json"
    for _ in range(2):
        assert CliRunner().invoke(app, ["manifest", str(tmp_path), "-o", str(path)]).exit_code == 0
    assert "listed.json" not in json.loads(path.read_text())["files"]
    assert api.verify(str(tmp_path), manifest=str(path)).findings == ()


def test_where_no_manifest_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before the bytes are hashed, not after."""
    of_safetensors(tmp_path)
    monkeypatch.setattr(api, "manifest", None)
    result = CliRunner().invoke(app, ["manifest", str(tmp_path), "-o", str(tmp_path / "no" / "listed.json")])
    assert isinstance(result.exception, SystemExit | UsageError)
    assert result.exit_code == 2
    assert "No such file" in result.output


def test_a_manifest_goes_where_a_link_leads_and_to_devices(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    of_safetensors(folder)
    link, real, pipe = tmp_path / "link.json", tmp_path / "real.json", tmp_path / "pipe"
    link.symlink_to(real)
    assert CliRunner().invoke(app, ["manifest", str(folder), "-o", str(link)]).exit_code == 0
    assert link.is_symlink()
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert CliRunner().invoke(app, ["manifest", str(folder), "-o", str(pipe)]).exit_code == 0
        assert pipe.is_fifo()
        assert os.read(reading, 1 << 20) == real.read_bytes()
    finally:
        os.close(reading)
