"""The profile of a model: what numpy and the gguf package say of the same numbers, and a size that no name can blow up."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from test_outputs import META, shown
from test_verify import NAMED, bf16, layers, normal, write

from weightlint import api
from weightlint.verifying.health import MAX_CELLS
from weightlint.verifying.place import layer_of

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.profile import Line, Profile


def profile(path: Path, **options: Any) -> Profile:
    made = api.verify(str(path), **options).profile
    assert made is not None
    return made


def as_json(path: Path, **options: Any) -> dict[str, Any]:
    """Return the JSON form, valid against the bundled JSON Schema."""
    document: dict[str, Any] = json.loads(shown("json", api.verify(str(path), **options)))
    jsonschema.Draft202012Validator(json.loads(META.read_text(encoding="utf-8"))).validate(document)
    return document


def only(lines: tuple[Line, ...]) -> Line:
    (line,) = lines
    return line


def test_magnitudes_are_those_of_numpy(tmp_path: Path) -> None:
    """A tensor of 32 kB is a sample of its first page."""
    write(tmp_path / "m.safetensors", layers(6))
    line = only(profile(tmp_path).lines)
    values = [
        (bf16(normal(64, 256, seed=layer)).astype(np.uint32) << 16).view(np.float32) for layer in range(6)
    ]
    assert line.pattern == "model.layers.*.mlp.down_proj.weight BF16"
    assert line.absmax == pytest.approx([float(abs(it).max()) for it in values])
    assert line.rms == pytest.approx([float((it.astype(float) ** 2).mean() ** 0.5) for it in values], rel=0.1)


def test_block_types_have_the_magnitudes_of_their_scales(tmp_path: Path) -> None:
    """One of 16 blocks is a sample; with equal scales it is what all are."""
    gguf = pytest.importorskip("gguf", reason="writes the file")
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    scales = [0.25, 0.5, 4.0]
    for layer, scale in enumerate(scales):
        blocks = np.zeros((64, 8, 34), np.uint8)
        blocks[:, :, 2:] = 1
        blocks[:, :, :2] = np.array([scale], np.float16).view(np.uint8)
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", blocks.reshape(64, -1), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    line = only(profile(tmp_path / "m.gguf").lines)
    assert (line.pattern, line.absmax, line.rms) == ("blk.*.ffn_up.weight Q8_0", tuple(scales), tuple(scales))


def test_codes_stand_where_the_findings_are(tmp_path: Path) -> None:
    tensors = layers(6)
    tensors[NAMED][1][0, 0] = 0x7FC0
    write(tmp_path / "m.safetensors", tensors)
    assert only(profile(tmp_path).lines).codes == ((), (), (), ("WL701",), (), ())


def test_the_json_form_is_what_its_schema_says(tmp_path: Path) -> None:
    tensors = {**layers(4), "lm_head.weight": ("BF16", bf16(normal(64, 256)))}
    tensors[NAMED][1][:] = 0x7FC0
    write(tmp_path / "m.safetensors", tensors)
    told = as_json(tmp_path)
    assert (told["complete"], told["profile"]["layers"]) == (True, [0, 1, 2, 3])
    assert told["profile"]["lines"][0]["rms"][3] is None
    assert [line["pattern"] for line in told["profile"]["beside"]] == ["lm_head.weight BF16"]
    assert as_json(tmp_path, values=False)["profile"]["lines"] == []


@pytest.mark.parametrize("gone", ["complete", "notes"])
def test_a_profile_is_of_verify(tmp_path: Path, gone: str) -> None:
    write(tmp_path / "m.safetensors", layers(2))
    told = as_json(tmp_path)
    del told[gone]
    with pytest.raises(jsonschema.ValidationError, match="dependency"):
        jsonschema.validate(told, json.loads(META.read_text(encoding="utf-8")))


def test_squares_beyond_the_largest_number_can_be_kept(tmp_path: Path) -> None:
    """JSON has no infinity: a report and the results of a run are read back."""
    model = tmp_path / "model"
    write(model / "m.safetensors", {f"layers.{at}.w": ("F64", np.full(4096, 1e200)) for at in range(3)})
    first = as_json(model, resume=str(tmp_path / "kept.json"))
    again = as_json(model, resume=str(tmp_path / "kept.json"))
    assert first["profile"] == again["profile"]
    assert first["profile"]["lines"][0]["absmax"] == [1e200] * 3


def test_a_number_of_thousands_of_digits_is_no_layer(tmp_path: Path) -> None:
    """Python reads none of more than 4,300 digits."""
    name = f"layers.{'9' * 5000}.w"
    write(tmp_path / "m.safetensors", {name: ("F32", normal(64))})
    assert layer_of(name) is None
    assert only(profile(tmp_path).beside).pattern == f"{name} F32"


def test_names_cannot_ask_for_a_profile_of_any_size(tmp_path: Path) -> None:
    """2,000 families of one layer each, all in different layers, would have four million cells."""
    count = 2000
    write(
        tmp_path / "m.safetensors",
        {f"layers.{at}.w{at}x.y": ("F32", np.ones(1, np.float32)) for at in range(count)},
    )
    tracemalloc.start()
    made = profile(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(made.layers) == count
    assert len(made.lines) == MAX_CELLS // count
    assert made.left_out == count - len(made.lines)
    assert peak < 64 << 20
