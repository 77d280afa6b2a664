"""No false alarm: `weightlint verify` is silent on what torch, safetensors and gguf write, and on the oddities of sound models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Quantised
from safetensors.numpy import save_file
from sound import silent
from toy import FIXTURES

from weightlint import api

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYERS = range(6)
ROWS, COLUMNS = 96, 512
Arrays = dict[str, np.ndarray[Any, Any]]


def normal(*shape: int, seed: int = 0, scale: float = 0.02) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def named(what: str, made: Callable[[int], Any]) -> dict[str, Any]:
    return {f"model.layers.{layer}.{what}": made(layer) for layer in LAYERS}


FLOATS = [
    "float64", "float32", "float16", "bfloat16", "complex32", "complex64", "complex128", "float8_e4m3fn",
    "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip
WHOLE = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]


def of_torch(name: str, seed: int, *shape: int) -> Any:
    """Draw a tensor of any dtype of torch: normal numbers, whole ones of the full range, scales that are powers of two."""
    import torch

    dtype, source = getattr(torch, name), torch.Generator().manual_seed(seed)
    if name in WHOLE:
        if name == "bool":
            return torch.rand(*shape, generator=source) > 0.5
        span = torch.iinfo(dtype)
        low, high = max(span.min, -(2**63)), min(span.max, 2**63 - 1)
        return torch.randint(low, high, shape, generator=source, dtype=torch.int64).to(dtype)
    if name == "float8_e8m0fnu":
        return torch.exp2(torch.randint(-20, 5, shape, generator=source).float()).to(dtype)
    drawn = torch.randn(*shape, generator=source)
    if name.startswith("complex"):
        return torch.complex(drawn, drawn.roll(1)).to(dtype)
    return drawn.to(dtype)


def torch_model(name: str) -> dict[str, Any]:
    """Return matrices, norms, a tensor of one number, a scalar and an empty one, of one dtype."""
    made = named("mlp.down_proj.weight", lambda layer: of_torch(name, layer, ROWS, COLUMNS))
    made |= named("norm.weight", lambda layer: of_torch(name, layer, COLUMNS))
    one = of_torch(name, 99, 1)
    scalar, none = one.clone().reshape(()), one[:0].clone().reshape(0, 7)
    return made | {"one.weight": one, "scalar": scalar, "none.weight": none}


BYTES_IN = 2 * len(LAYERS) + 2
"""Tensors of `torch_model` that have bytes."""


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("name", [*FLOATS, *WHOLE])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_files_of_torch(tmp_path: Path, name: str, *, zipped: bool) -> None:
    torch = pytest.importorskip("torch", reason="it writes the files")
    path = tmp_path / "pytorch_model.bin"
    torch.save(torch_model(name), path, _use_new_zipfile_serialization=zipped)
    assert silent(path).facts.checked == BYTES_IN


@pytest.mark.oracle
@pytest.mark.parametrize("name", [it for it in (*FLOATS, *WHOLE) if it not in {"complex32", "complex128"}])
def test_files_of_safetensors(tmp_path: Path, name: str) -> None:
    """It has no name for complex32 and complex128."""
    pytest.importorskip("torch", reason="it holds the tensors")
    from safetensors.torch import save_file as save

    save(torch_model(name), str(tmp_path / "model.safetensors"))
    assert silent(tmp_path).facts.checked == BYTES_IN


@pytest.mark.oracle
def test_packed_four_bit_floats_of_safetensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="it holds the tensors")
    from safetensors.torch import save_file as save

    packed = {
        key: of_torch("uint8", at, ROWS, COLUMNS) for at, key in enumerate(named("up_proj.weight", str))
    }
    save(
        {key: tensor.view(torch.float4_e2m1fn_x2) for key, tensor in packed.items()},
        str(tmp_path / "m.safetensors"),
    )
    silent(tmp_path)


def of_numpy(dtype: np.dtype[Any], seed: int) -> np.ndarray[Any, Any]:
    if dtype.kind not in "iu":
        return normal(ROWS, COLUMNS, seed=seed).astype(dtype)
    span, chance = np.iinfo(dtype), np.random.default_rng(seed)
    drawn: np.ndarray[Any, Any] = chance.integers(span.min, span.max, (ROWS, COLUMNS), dtype, endpoint=True)
    return drawn


@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8"]
)
def test_files_of_numpy(tmp_path: Path, dtype: str) -> None:
    save_file(
        named("up_proj.weight", lambda layer: of_numpy(np.dtype(dtype), layer)),
        str(tmp_path / "m.safetensors"),
    )
    silent(tmp_path)


def quantisable() -> list[Quantised]:
    """Return the types that gguf's own code can quantise to."""
    out = []
    for kind in Quantised:
        try:
            gguf.quants.quantize(normal(2, 256), kind)
        except NotImplementedError:
            continue
        out.append(kind)
    return out


def in_gguf(path: Path, tensors: Arrays, kind: Quantised) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    for name, values in tensors.items():
        packed = values if values.ndim == 1 else gguf.quants.quantize(values, kind)
        plain = Quantised.F32 if values.ndim == 1 else kind
        writer.add_tensor(name, packed, raw_dtype=plain)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_model(odd: Callable[[np.ndarray[Any, Any]], None] = lambda _: None) -> Arrays:
    out: Arrays = {}
    for layer in LAYERS:
        matrix = normal(ROWS, COLUMNS, seed=layer)
        odd(matrix)
        out[f"blk.{layer}.ffn_down.weight"] = matrix
        out[f"blk.{layer}.attn_norm.weight"] = np.ones(COLUMNS, np.float32)
    return out


def as_it_is(_: np.ndarray[Any, Any]) -> None:
    """Change nothing."""


def zero_rows(matrix: np.ndarray[Any, Any]) -> None:
    matrix[40:60] = 0


def an_outlier(matrix: np.ndarray[Any, Any]) -> None:
    matrix[3, 7] *= 100


def tiny(matrix: np.ndarray[Any, Any]) -> None:
    matrix *= 1e-6


def all_negative(matrix: np.ndarray[Any, Any]) -> None:
    np.negative(np.abs(matrix), out=matrix)


@pytest.mark.parametrize("odd", [as_it_is, zero_rows, an_outlier, tiny, all_negative])
@pytest.mark.parametrize("kind", quantisable(), ids=lambda kind: kind.name)
def test_quantisers_of_gguf(tmp_path: Path, kind: Quantised, odd: Callable[[Any], None]) -> None:
    in_gguf(tmp_path / "model.gguf", gguf_model(odd), kind)
    silent(tmp_path)


def test_the_quantisers_are_many() -> None:
    """Else the test above tests nothing."""
    assert {"Q8_0", "Q4_0", "Q5_1", "TQ1_0", "TQ2_0", "MXFP4", "BF16", "F16"} <= {
        kind.name for kind in quantisable()
    }


def test_the_quantisers_of_llama_cpp() -> None:
    """`fixtures/quantised` has a tensor of every type that llama.cpp quantises to."""
    silent(FIXTURES / "quantised" / "ggml.gguf")


def zero_padding() -> Arrays:
    """Leave the last rows of an embedding zero: it has more of them than the vocabulary."""
    table = normal(3000, COLUMNS)
    table[2900:] = 0
    return {"model.embed_tokens.weight": table, "lm_head.weight": table.astype(np.float16)}


def zero_biases() -> Arrays:
    return named("self_attn.q_proj.bias", lambda _: np.zeros(COLUMNS * 8, np.float32))


def an_adapter_before_training() -> Arrays:
    stem = "base_model.model.model.layers"
    out = {f"{stem}.{at}.q_proj.lora_A.weight": normal(16, COLUMNS, seed=at) for at in LAYERS}
    return out | {f"{stem}.{at}.q_proj.lora_B.weight": np.zeros((COLUMNS, 16), np.float32) for at in LAYERS}


def norms_of_ones() -> Arrays:
    return named("input_layernorm.weight", lambda _: np.ones(COLUMNS * 8, np.float16))


def causal_masks() -> Arrays:
    size = 128
    mask = np.triu(np.full((size, size), -np.inf, np.float32), 1)
    kept = np.tril(np.ones((1, 1, size, size), np.bool_))
    return {f"h.{at}.attn.bias": kept.copy() for at in LAYERS} | {
        f"h.{at}.attn.causal_mask": mask.copy() for at in LAYERS
    }


def tables_of_positions() -> Arrays:
    """Rotary tables of old Llama files and the index of Swin's windows are equal in all layers."""
    angles = np.outer(np.arange(256), 1e4 ** (-np.arange(64) / 64)).astype(np.float32)
    out = named("self_attn.rotary_emb.cos_cached", lambda _: np.cos(angles)[None, None])
    out |= named("self_attn.rotary_emb.sin_cached", lambda _: np.sin(angles)[None, None])
    index = np.random.default_rng(6).integers(0, 169, (49, 49))
    return out | named("attention.self.relative_position_index", lambda _: index.copy())


def masked_bias_of_gpt2() -> Arrays:
    """`attn.masked_bias` is one number, -1e4 or -1e9 (modeling_gpt2.py and modeling_gpt_neox.py of transformers)."""
    return {f"h.{at}.attn.masked_bias": np.array(-1e9, np.float32) for at in LAYERS}


def outliers() -> Arrays:
    out = named("mlp.down_proj.weight", lambda layer: normal(ROWS, COLUMNS, seed=layer))
    for matrix in out.values():
        matrix.flat[np.arange(20) * 2000] *= 100
    return out


def attention_sinks() -> Arrays:
    """Learnt sinks of gpt-oss: one number for each head, some far from the rest."""
    return named("self_attn.sinks", lambda layer: normal(64, seed=layer, scale=2.0) + 10 * (layer == 2))


def a_massive_weight() -> Arrays:
    """One layer with a few weights in the tens, as layer 1 or 2 of large models has (arXiv 2411.07191)."""
    out = named("mlp.down_proj.weight", lambda layer: normal(ROWS, COLUMNS, seed=layer))
    out["model.layers.2.mlp.down_proj.weight"][5, 5] = 40.0
    return out


def scales_of_mxfp4() -> Arrays:
    draw = np.random.default_rng(2)
    blocks = named("mlp.experts.down_proj_blocks", lambda _: draw.integers(0, 256, (4, 64, 8, 16), np.uint8))
    return blocks | named(
        "mlp.experts.down_proj_scales", lambda _: draw.integers(0, 254, (4, 64, 8), np.uint8)
    )


def zeros_of_awq() -> Arrays:
    """Symmetric quantisation has the same zero point everywhere: 8 in each nibble, or 7 as GPTQ stores it."""
    out = named(
        "q_proj.qzeros", lambda layer: np.full((64, 256), -2004318072 if layer % 2 else 0x77777777, np.int32)
    )
    draw = np.random.default_rng(3)
    out |= named("q_proj.qweight", lambda _: draw.integers(-(2**31), 2**31, (256, 256), np.int32))
    out |= named("q_proj.g_idx", lambda _: np.arange(2048, dtype=np.int32) // 128)
    out |= named("q_proj.scales", lambda layer: np.abs(normal(64, 256, seed=layer)).astype(np.float16))
    return out | named("k_proj.qzeros", lambda _: np.full((64, 256), -1, np.int32))


def weights_of_int8() -> Arrays:
    draw = np.random.default_rng(4)
    out = named("q_proj.weight", lambda _: draw.integers(-128, 128, (ROWS, COLUMNS), np.int8))
    return out | named("q_proj.weight_scale", lambda layer: np.abs(normal(ROWS, 1, seed=layer)))


def one_number_again() -> Arrays:
    """Make tensors of one number throughout, which are no copies and no damage."""
    return named("gate.weight", lambda _: np.full((ROWS, COLUMNS), 0.5, np.float32))


def nothing_and_single_numbers() -> Arrays:
    return {
        "empty": np.zeros((0,), np.float32),
        "no.rows": np.zeros((0, 9), np.float16),
        "scalar": np.array(0.0, np.float32),
        "tall": np.zeros((1, 1, 1, 1), np.float64),
        "model.layers.0.x.weight": normal(3, 5),
        "num_batches_tracked": np.array(0, np.int64),
    }


def running_statistics() -> Arrays:
    """Batch norms count large numbers."""
    return named("bn.running_var", lambda layer: np.abs(normal(COLUMNS, seed=layer)) * 10.0**layer)


def frequencies() -> Arrays:
    return named("rotary_emb.inv_freq", lambda _: (1e6 ** (-np.arange(64) / 64)).astype(np.float32))


def router_biases() -> Arrays:
    """`e_score_correction_bias` of DeepSeek-V3, the same for all experts but for little."""
    return named("mlp.gate.e_score_correction_bias", lambda layer: 7.0 + normal(256, seed=layer))


def subnormals() -> Arrays:
    return named(
        "mlp.up_proj.weight", lambda layer: (normal(ROWS, COLUMNS, seed=layer) * 1e-38).astype(np.float32)
    )


def the_largest_of_float16() -> Arrays:
    """Fill a mask with torch.finfo(torch.float16).min."""
    return {"model.attention_mask": np.triu(np.full((128, 128), -65504, np.float16), 1)}


ODDITIES = [
    zero_padding, zero_biases, an_adapter_before_training, norms_of_ones, causal_masks, tables_of_positions, masked_bias_of_gpt2,
    outliers, attention_sinks, a_massive_weight, scales_of_mxfp4, zeros_of_awq, weights_of_int8, one_number_again,
    nothing_and_single_numbers, running_statistics, frequencies, router_biases, subnormals, the_largest_of_float16,
]  # fmt: skip


@pytest.mark.parametrize("made", ODDITIES)
def test_oddities_of_sound_models(tmp_path: Path, made: Callable[[], Arrays]) -> None:
    save_file(made(), str(tmp_path / "model.safetensors"))
    assert api.verify(str(tmp_path)).findings == ()


@pytest.mark.oracle
@pytest.mark.parametrize("made", ODDITIES)
def test_oddities_in_bfloat16_and_torch_files(tmp_path: Path, made: Callable[[], Arrays]) -> None:
    torch = pytest.importorskip("torch", reason="it writes the file")
    tensors = {name: torch.from_numpy(np.array(values)) for name, values in made().items()}
    half = {name: it.to(torch.bfloat16) if it.is_floating_point() else it for name, it in tensors.items()}
    torch.save(half, tmp_path / "pytorch_model.bin")
    assert api.verify(str(tmp_path)).findings == ()
