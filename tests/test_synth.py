"""What synth writes: read by the safetensors library, loaded by transformers."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from weightlint import schema as schemas
from weightlint.config import Config
from weightlint.errors import UsageError
from weightlint.expansion import expand
from weightlint.shrink import shrink
from weightlint.synth import synth

if TYPE_CHECKING:
    from pathlib import Path

ARCHES = schemas.names()


def published(arch: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((schemas.folder() / "configs" / f"{arch}.json").read_text())
    return table


def headers(folder: Path) -> dict[str, dict[str, Any]]:
    out = {}
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            assert size % 8 == 0
            header = json.loads(stream.read(size))
        assert header.pop("__metadata__") == {"format": "pt"}
        assert file.stat().st_size == 8 + size + max(entry["data_offsets"][1] for entry in header.values())
        out[file.name] = header
    return out


def test_deepseek_v3_has_the_figures_of_the_published_checkpoint(tmp_path: Path) -> None:
    # 91,991 tensors, 163 files, 688,574,839,360 bytes: listing of the published DeepSeek-R1
    made = synth(tmp_path, arch="deepseek_v3")
    assert (made.tensors, made.files, made.bytes) == (91_991, 163, 688_574_839_360)
    on_disk = sum(file.stat().st_blocks * 512 for file in tmp_path.iterdir())
    assert on_disk < 40_000_000
    found = headers(tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": made.bytes}
    assert index["weight_map"] == {name: file for file, header in found.items() for name in header}


@pytest.mark.parametrize("arch", ARCHES)
def test_full_size_files_open_in_safetensors(arch: str, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    made = synth(tmp_path, arch=arch, shards=3)
    names: list[str] = []
    for file in sorted(tmp_path.glob("*.safetensors")):
        with safetensors.safe_open(file, "numpy") as opened:
            names += opened.keys()
    assert (len(names), made.files) == (made.tensors, 3)


@pytest.mark.parametrize("arch", ARCHES)
def test_tiny_values_are_finite_and_every_kind_of_tensor_stays(arch: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from safetensors.torch import load_file

    synth(tmp_path, arch=arch, tiny=True)
    tensors = {
        name: value for file in tmp_path.glob("*.safetensors") for name, value in load_file(file).items()
    }
    assert all(bool(value.float().isfinite().all()) for value in tensors.values())
    assert all(0 < float(value.float().abs().max()) <= 1 for value in tensors.values())
    whole = expand(schemas.load(arch), Config(published(arch)))
    patterns = {slot.pattern for slot in whole.slots}
    small = expand(schemas.load(arch), Config(json.loads((tmp_path / "config.json").read_text())))
    assert {slot.pattern for slot in small.slots} == patterns
    assert sum(value.nbytes for value in tensors.values()) < 10_000_000


def test_tiny_fp8_of_a_given_config_has_scales(tmp_path: Path) -> None:
    synth(tmp_path, arch="deepseek_v3", config=published("deepseek_v3"), tiny=True, shards=1)
    (header,) = headers(tmp_path).values()
    scales = [name for name in header if name.endswith("_scale_inv")]
    assert scales
    assert all(header[name]["dtype"] == "F32" for name in scales)
    assert {header[name.removesuffix("_scale_inv")]["dtype"] for name in scales} == {"F8_E4M3"}
    assert not (tmp_path / "model.safetensors.index.json").exists()


@pytest.mark.oracle
@pytest.mark.parametrize("arch", ARCHES)
def test_transformers_loads_the_tiny_checkpoint(arch: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    if not hasattr(transformers, published(arch)["architectures"][0]):
        pytest.skip(f"transformers {transformers.__version__} has no {arch}")
    synth(tmp_path, arch=arch, tiny=True)
    kind = getattr(transformers, published(arch)["architectures"][0])
    _, said = kind.from_pretrained(tmp_path, output_loading_info=True)
    # the MTP layer is there as well: transformers passes over it by its published number
    assert {key: said[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")} == {
        key: type(said[key])() for key in ("missing_keys", "unexpected_keys", "mismatched_keys")
    }


@pytest.mark.parametrize("arch", ARCHES)
def test_shrinking_keeps_the_sizes_legal(arch: str) -> None:
    small = shrink(published(arch))
    small = small.get("text_config", small)
    heads = small["num_attention_heads"]
    assert small["hidden_size"] % heads == 0
    assert heads % small.get("num_key_value_heads", heads) == 0
    assert small.get("n_routed_experts", 4) % small.get("n_group", 1) == 0
    assert math.prod(small.get(name, 1) for name in ("hidden_size", "vocab_size")) <= 64 * 256


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"hidden_size": 8}, "is not in the config"),
        ("no-such.json", "No such file"),
        ({"quantization_config": {"quant_method": "x"}}, "'x'"),
    ],
)
def test_what_cannot_be_made_is_said(config: Any, says: str, tmp_path: Path) -> None:
    if isinstance(config, dict) and "quantization_config" in config:
        config = {**published("llama"), **config}
    with pytest.raises(UsageError, match=says):
        synth(tmp_path / "out", arch="llama", config=config)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_is_never_written_over(tmp_path: Path) -> None:
    synth(tmp_path, arch="llama", tiny=True)
    with pytest.raises(UsageError, match="holds a checkpoint already"):
        synth(tmp_path, arch="llama", tiny=True)
