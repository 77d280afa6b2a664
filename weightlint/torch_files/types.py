"""What a torch file may ask for: the closed table of globals, and the element types among them.

From torch/_weights_only_unpickler.py and torch/storage.py of torch 2.13. Nothing here is ever imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype import SAFETENSORS, TORCH

if TYPE_CHECKING:
    from collections.abc import Mapping

DTYPES: Mapping[str, str] = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex32": "C32",
    "complex64": "C64",
    "complex128": "C128",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
    "float4_e2m1fn_x2": "F4",
    "qint8": "QINT8",
    "quint8": "QUINT8",
    "qint32": "QINT32",
    "quint4x2": "QUINT4X2",
    "quint2x4": "QUINT2X4",
    "bits8": "BITS8",
    "bits16": "BITS16",
    "bits1x8": "BITS1X8",
    "bits2x4": "BITS2X4",
    "bits4x2": "BITS4X2",
}
"""House spelling by torch's name."""

STORAGES: Mapping[str, str | None] = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "ComplexDoubleStorage": "C128",
    "ComplexFloatStorage": "C64",
    "QInt8Storage": "QINT8",
    "QUInt8Storage": "QUINT8",
    "QInt32Storage": "QINT32",
    "QUInt4x2Storage": "QUINT4X2",
    "QUInt2x4Storage": "QUINT2X4",
    "UntypedStorage": None,
}
"""House spelling by storage class; an untyped one is counted in bytes."""


def bits(dtype: str) -> int:
    """Return the bits of one element as torch counts elements: for F4, the bytes that hold two of them."""
    return 8 if dtype == "F4" else (SAFETENSORS.get(dtype) or TORCH[dtype]).bits


_TENSOR_CLASSES = (
    *(
        f"torch.{device}{name}Tensor"
        for device in ("", "cuda.", "sparse.", "cuda.sparse.")
        for name in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
    ),
    "torch.Tensor",
)

REBUILD = "torch._utils._rebuild_"

KNOWN: frozenset[str] = frozenset(
    {
        "collections.OrderedDict",
        "collections.Counter",
        "collections.defaultdict",
        "builtins.bytearray",
        "builtins.complex",
        "builtins.set",
        "_codecs.encode",
        "torch.Size",
        "torch.device",
        "torch.nn.parameter.Parameter",
        "torch.nn.parameter.Buffer",
        "torch.serialization._get_layout",
        "torch._tensor._rebuild_from_type_v2",
        "torch.storage.TypedStorage",
        "torch.storage._TypedStorage",
        "torch.storage.UntypedStorage",
        *_TENSOR_CLASSES,
        *(f"torch.{name}" for name in DTYPES),
        *(f"torch.{'u' * unsigned}int{bits}" for bits in range(1, 8) for unsigned in (0, 1)),
        *(f"torch.{name}" for name in STORAGES),
        *(f"torch.cuda.{name}" for name in STORAGES),
        *(
            f"torch.{name}"
            for name in ("double", "float", "half", "long", "int", "short", "cdouble", "cfloat")
        ),
        *(
            f"torch.per_{by}_{how}"
            for by in ("tensor", "channel")
            for how in ("affine", "symmetric", "affine_float_qparams")
        ),
        *(
            REBUILD + what
            for what in (
                "tensor",
                "tensor_v2",
                "tensor_v3",
                "parameter",
                "parameter_with_state",
                "qtensor",
                "sparse_tensor",
                "meta_tensor_no_storage",
                "nested_tensor",
                "wrapper_subclass",
                "device_tensor_from_numpy",
                "device_tensor_from_cpu_tensor",
                "xla_tensor",
            )
        ),
    }
)
"""Globals that make tensors and containers and nothing else."""

INERT: frozenset[str] = frozenset(
    {
        "_io.BytesIO",
        "argparse.Namespace",
        "datetime.date",
        "datetime.datetime",
        "datetime.timedelta",
        "signal.Signals",
        "types.SimpleNamespace",
        "numpy.dtype",
        "numpy.ndarray",
        "torch._C.Generator",
        "torch.distributed.device_mesh.DeviceMesh",
        "torch.distributed.tensor.DTensor",
        "torch.distributed.tensor._dtensor_spec.DTensorSpec",
        "torch.distributed.tensor._dtensor_spec.TensorMeta",
        *(f"torch.distributed.tensor.placement_types.{name}" for name in ("Partial", "Replicate", "Shard")),
        *(
            f"builtins.{name}"
            for name in (
                "bool",
                "bytes",
                "dict",
                "float",
                "frozenset",
                "int",
                "list",
                "slice",
                "str",
                "tuple",
            )
        ),
        *(f"pathlib.{name}" for name in ("Path", "PosixPath", "PurePath", "PurePosixPath", "WindowsPath")),
        *(
            f"numpy.{core}.multiarray.{name}"
            for core in ("core", "_core")
            for name in ("_reconstruct", "scalar")
        ),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
        *(f"numpy.dtypes.{name}DType" for name in ("Bool", "Float32", "Float64", "Int32", "Int64", "UInt32")),
        # megatron/core/safe_globals.py of Megatron-LM, commit 11c6fed
        "megatron.core.enums.ModelType",
        "megatron.core.optimizer.optimizer_config.OptimizerConfig",
        *(
            f"megatron.core.rerun_state_machine.{name}"
            for name in ("RerunDiagnostic", "RerunMode", "RerunState")
        ),
        *(f"megatron.core.transformer.enums.{name}" for name in ("AttnBackend", "CudaGraphScope")),
    }
)
"""Globals of training checkpoints that only hold values; torch.load(weights_only=True) refuses them."""
