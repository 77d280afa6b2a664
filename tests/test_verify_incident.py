"""ktransformers #885: a DeepSeek GGUF of Q4_K_M that loads, and turns NaN at layer 9."""

from __future__ import annotations

from typing import TYPE_CHECKING

import injection
import numpy as np
import pytest
from gguf_models import MLA, is_there

from weightlint import api
from weightlint import schema as schemas
from weightlint.expansion import expand
from weightlint.keys import read
from weightlint.metadata import Value

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from weightlint.expected import Slot

KEYS = {
    **{key: value for key, value in MLA.items() if not key.startswith("rope.scaling")},
    "block_count": 11,
    "context_length": 64,
    "embedding_length": 256,
    "feed_forward_length": 512,
    "vocab_size": 64,
    "attention.head_count": 4,
    "attention.layer_norm_rms_epsilon": 1e-6,
    "attention.q_lora_rank": 256,
    "attention.kv_lora_rank": 256,
    "attention.key_length": 320,
    "attention.value_length": 256,
    "attention.key_length_mla": 256,
    "attention.value_length_mla": 256,
    "rope.dimension_count": 64,
    "rope.freq_base": 1e4,
    "expert_count": 8,
    "expert_used_count": 2,
    "expert_feed_forward_length": 256,
}
DAMAGED, EXPERT = "blk.9.ffn_down_exps.weight", 5
HURT = 8 * 4096


def slots() -> list[Slot]:
    typed = {
        "general.architecture": Value("str", "deepseek2"),
        "tokenizer.ggml.model": Value("str", "no_vocab"),
    }
    fields = schemas.load("gguf/deepseek2").fields
    for key, value in KEYS.items():
        typed[f"deepseek2.{key}"] = Value((fields[key].stored or "").split("|")[0], value)
    expected = expand(schemas.load("gguf/deepseek2"), read(typed, "m.gguf"))
    return [slot for slot in expected.slots if is_there(slot)]


def blocks(chance: np.random.Generator, type_: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return rows of blocks that ggml wrote."""
    source = injection.block_types()[type_]
    per_row = shape[-1] // 256
    picked = source[chance.integers(0, len(source), int(np.prod(shape[:-1])) * per_row)]
    return picked.reshape(*shape[:-1], per_row * source.shape[1])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the model with the gguf package: Q4_K, every other down projection Q6_K, norms F32."""
    gguf = pytest.importorskip("gguf")
    path = tmp_path_factory.mktemp("r1") / "DeepSeek-Toy-Q4_K_M.gguf"
    writer = gguf.GGUFWriter(path, "deepseek2")
    for key, value in KEYS.items():
        name = f"deepseek2.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_uint32(name, int(str(value)))
    writer.add_string("tokenizer.ggml.model", "no_vocab")
    writer.add_file_type(15)
    writer.add_quantization_version(2)
    chance = np.random.default_rng(885)
    for slot in slots():
        for name in slot.names():
            add(gguf, writer, name, slot, chance)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add(gguf: object, writer: object, name: str, slot: Slot, chance: np.random.Generator) -> None:
    shape = slot.shape
    assert shape is not None
    if len(shape) == 1 or slot.dtypes == {"F32"} or shape[-1] % 256:
        data = chance.standard_normal(shape).astype(np.float32)
        writer.add_tensor(name, data)  # type: ignore[attr-defined] # gguf has no types
        return
    type_ = "Q6_K" if "down" in name and int(name.split(".")[1]) % 2 else "Q4_K"
    kind = gguf.GGMLQuantizationType[type_]  # type: ignore[attr-defined] # gguf has no types
    writer.add_tensor(name, blocks(chance, type_, shape), raw_dtype=kind)  # type: ignore[attr-defined] # gguf has no types


def hurt(path: Path, to: Path) -> int:
    """Fill eight pages within one expert of layer 9 with noise, as a damaged download does; return its first byte."""
    gguf = pytest.importorskip("gguf")
    tensor = next(it for it in gguf.GGUFReader(path).tensors if it.name == DAMAGED)
    slice_ = int(tensor.n_bytes) // 8
    start = int(tensor.data_offset) + EXPERT * slice_ + 7 * 210
    data = bytearray(path.read_bytes())
    data[start : start + HURT] = np.random.default_rng(9).bytes(HURT)
    to.write_bytes(data)
    return start


def test_the_sound_model_is_silent(model: Path) -> None:
    assert api.check(str(model)).findings == ()
    assert api.verify(str(model)).findings == ()


def test_check_sees_nothing_of_the_damage(model: Path, tmp_path: Path) -> None:
    hurt(model, tmp_path / model.name)
    assert api.check(str(tmp_path)).findings == ()


def test_verify_names_layer_expert_and_offset(model: Path, tmp_path: Path) -> None:
    start = hurt(model, tmp_path / model.name)
    (told,) = api.verify(str(tmp_path)).findings
    assert told.code == "WL701"
    assert told.place.tensors == (DAMAGED,)
    assert told.place.files == (model.name,)
    assert f"of expert {EXPERT} in layer 9" in told.message
    offset = int(told.message.split("at byte ")[1].split(" ")[0].replace(",", ""))
    assert start <= offset < start + HURT


def test_with_a_manifest_only_the_expert_is_downloaded_again(model: Path, tmp_path: Path) -> None:
    known = tmp_path / "manifest.json"
    known.write_text(api.manifest(str(model)))
    copy = tmp_path / "copy"
    copy.mkdir()
    start = hurt(model, copy / model.name)
    (told,) = api.verify(str(copy), manifest=str(known)).findings
    assert told.code == "WL705"
    assert told.place.tensors == (DAMAGED,)
    assert f"(of experts {EXPERT})" in told.message
    low, high = (
        int(it.replace(",", "")) for it in told.message.split("bytes ")[1].split(";")[0].split(" to ")
    )
    assert low <= start < start + HURT <= high + 1
    assert high + 1 - low == 256 * 210


def test_a_list_of_hashes_tells_which_file_is_another(model: Path, tmp_path: Path) -> None:
    import hashlib

    sums = tmp_path / "SHA256SUMS"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    sums.write_text(f"{digest}  {model.name}\n")
    hurt(model, tmp_path / model.name)
    told = api.verify(str(tmp_path)).findings
    assert [it.code for it in told] == ["WL701", "WL705"]
    assert told[1].expected == digest
    assert "again" in told[0].cure
