"""Tensors that the libraries themselves make of a weight have the names, shapes and types that the schemes give."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from weightlint.expectation import QUANTS
from weightlint.expected import Slot
from weightlint.index import Kind
from weightlint.join import fits
from weightlint.quantising import parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.form import Form

pytestmark = pytest.mark.oracle

STEM = "model.layers.0.self_attn.o_proj"
TORCH = {
    "torch.uint8": "U8", "torch.int8": "I8", "torch.int16": "I16", "torch.int32": "I32", "torch.int64": "I64",
    "torch.float16": "F16", "torch.bfloat16": "BF16", "torch.float32": "F32", "torch.float8_e4m3fn": "F8_E4M3",
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """What a library made: dtypes and shapes by name behind that of the module."""

    kinds: Mapping[str, Kind]

    @classmethod
    def of_torch(cls, state: Mapping[str, Any]) -> Made:
        return cls({name: Kind(TORCH[str(it.dtype)], tuple(it.shape)) for name, it in state.items()})

    def differs(self, form: Form, shape: tuple[int, int]) -> list[str]:
        """Name the parts that are missing, not expected, or of another kind."""
        slot = Slot(pattern=f"{STEM}.weight", boxes=((),), shape=shape, kind="linear")
        by_name = {part.pattern.removeprefix(f"{STEM}."): part for part in parts(slot, form)}
        needed = {name for name, part in by_name.items() if part.need == "required"}
        odd = [f"missing {name}" for name in needed - self.kinds.keys()]
        odd += [f"unexpected {name}" for name in self.kinds.keys() - by_name.keys()]
        return odd + [
            f"{name}: {kind}"
            for name, kind in self.kinds.items()
            if name in by_name and not fits(by_name[name], kind)
        ]


def form_of(quant: str, table: dict[str, Any]) -> Form:
    form = QUANTS[quant].read(table).default
    assert form is not None
    return form


SHAPES = [(64, 96), (48, 320)]


@pytest.mark.parametrize(
    ("mode", "bits", "group"),
    [
        *product(["affine"], [2, 3, 4, 5, 6, 8], [32]),
        ("affine", 4, 64),
        ("mxfp4", 4, 32),
        ("mxfp8", 8, 32),
        ("nvfp4", 4, 16),
    ],
)
def test_mlx(mode: str, bits: int, group: int) -> None:
    mx = pytest.importorskip("mlx.core", reason="needs mlx")
    shape = (64, 128)
    names = ("weight", "scales", "biases")
    tensors = mx.quantize(mx.random.normal(shape), group_size=group, bits=bits, mode=mode)
    types = {"mlx.core.uint32": "U32", "mlx.core.uint8": "U8", "mlx.core.float32": "F32"}
    made = Made(
        {name: Kind(types[str(it.dtype)], tuple(it.shape)) for name, it in zip(names, tensors, strict=False)}
    )
    table = {"bits": bits, "group_size": group, "mode": mode}
    assert made.differs(form_of("mlx", table), shape) == []


@pytest.mark.parametrize(
    ("kind", "nested", "storage", "shape"),
    [*product(["nf4", "fp4"], [False, True], ["uint8", "bfloat16", "float32"], [(48, 33), (64, 320)])],
)
def test_bitsandbytes(kind: str, nested: bool, storage: str, shape: tuple[int, int]) -> None:  # noqa: FBT001
    torch = pytest.importorskip("torch", reason="needs torch")
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes")
    from bitsandbytes.functional import quantize_4bit

    packed, state = quantize_4bit(
        torch.randn(shape),
        quant_type=kind,
        compress_statistics=nested,
        blocksize=64,
        quant_storage=getattr(torch, storage),
    )
    rest = {f"weight.{name}": it for name, it in state.as_dict(packed=True).items()}
    table = {
        "quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": kind,
        "bnb_4bit_use_double_quant": nested, "bnb_4bit_quant_storage": storage,
    }  # fmt: skip
    assert Made.of_torch({"weight": packed, **rest}).differs(form_of("bitsandbytes", table), shape) == []


def test_bitsandbytes_int8() -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes")
    from bitsandbytes.nn.modules import Linear8bitLt

    layer: Any = Linear8bitLt(96, 64, bias=False, has_fp16_weights=False)
    layer.load_state_dict(torch.nn.Linear(96, 64, bias=False).state_dict())
    layer.to("cpu")
    made = Made.of_torch(layer.state_dict())
    assert "SCB" in made.kinds
    assert made.differs(form_of("bitsandbytes", {"load_in_8bit": True}), (64, 96)) == []


@pytest.mark.parametrize(("bits", "axis"), [*product([8, 4, 3, 2, 1], [1, 0])])
def test_hqq(bits: int, axis: int) -> None:
    torch = pytest.importorskip("torch", reason="needs torch")
    core = pytest.importorskip("hqq.core.quantize", reason="needs hqq")
    settings = core.BaseQuantizeConfig(nbits=bits, group_size=32, axis=axis)
    layer = core.HQQLinear(
        torch.nn.Linear(96, 64, bias=False), settings, compute_dtype=torch.float16, device="cpu"
    )
    table = {
        "quant_config": {"weight_quant_params": {"nbits": bits, "group_size": 32, "axis": axis}},
    }
    form = form_of("hqq", table)
    state = {name: it for name, it in layer.state_dict().items() if name not in form.beside}
    assert state.keys() == {"W_q", "scale", "zero"}
    assert Made.of_torch(state).differs(form, (64, 96)) == []
