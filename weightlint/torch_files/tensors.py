"""Tensors of a torch file: from the call that would rebuild one to its type, shape and bytes.

Signatures: torch/_utils.py and torch/_tensor.py of torch 2.13. Nothing is rebuilt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from weightlint.pickling.values import Call, Global
from weightlint.torch_files.storages import BadTensorError, dtype, said, sizes, storage
from weightlint.torch_files.types import REBUILD, bits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from weightlint.dtype import Shape
    from weightlint.torch_files.storages import Storage

_MAX_WRAPS = 16


class View(NamedTuple):
    """One tensor: type, shape, and the bytes [start, stop) of its storage; None where it has none.

    `meta` tells that it was saved on the meta device, without values.
    """

    dtype: str
    shape: Shape
    storage: Storage | None = None
    start: int = 0
    stop: int = 0
    meta: bool = False


class _Sparse(NamedTuple):
    """Values that stand for a larger shape."""

    values: Call
    shape: Shape


def is_tensor(value: object) -> TypeGuard[Call]:
    """Tell whether a value of a pickle would become a tensor."""
    return type(value) is Call and type(value.func) is Global and value.func.name in _MAKERS


def view(call: Call) -> View:
    """Return what a call would rebuild.

    Raises:
        BadTensorError: its numbers contradict each other.
    """
    value: Any = call
    shape: Shape | None = None
    for _ in range(_MAX_WRAPS):
        if not is_tensor(value):
            break
        made = _MAKERS[value.name](value)
        if type(made) is View:
            return made if shape is None else made._replace(shape=shape)
        if type(made) is _Sparse:
            shape, made = made.shape, made.values
        value = made
    message = "arguments from which no tensor can be made"
    raise BadTensorError(message)


def _arguments(call: Call, least: int) -> tuple[Any, ...]:
    args = call.args
    if type(args) is not tuple or len(args) < least:
        message = "too few arguments to make a tensor from"
        raise BadTensorError(message)
    return args


def _strided(call: Call) -> View:
    outside, offset, size, stride = _arguments(call, 4)[:4]
    return _view(outside, offset, size, stride, None)


def _strided_v3(call: Call) -> View:
    args = _arguments(call, 7)
    outside, offset, size, stride = args[:4]
    return _view(outside, offset, size, stride, dtype(args[6]))


def _old(call: Call) -> View:
    """Read a tensor class whose state is what newer files give as arguments."""
    if type(call.state) is not tuple or len(call.state) != 4:
        message = "no state of storage, offset, size and stride"
        raise BadTensorError(message)
    outside, offset, size, stride = call.state
    return _view(outside, offset, size, stride, None)


def _wrapped(call: Call) -> Any:
    return _arguments(call, 1)[0]


def _typed(call: Call) -> Call:
    func, _, args = _arguments(call, 3)[:3]
    return Call(func, args)


def _bare(at: int, *, meta: bool) -> Callable[[Call], View]:
    """Make the reader of a call that has a type at `at`, its shape after it, and no bytes in the file."""

    def read(call: Call) -> View:
        args = _arguments(call, at + 2)
        return _counted(View(dtype(args[at]), sizes(args[at + 1], "size"), meta=meta))

    return read


def _sparse(call: Call) -> _Sparse:
    """Read a sparse tensor: its shape, and the values that it keeps."""
    data = _arguments(call, 2)[1]
    held = [each for each in data if is_tensor(each)] if type(data) is tuple else []
    plain = [each for each in data if not is_tensor(each) and type(each) is not bool] if held else []
    if not plain:
        message = "no indices, values and size"
        raise BadTensorError(message)
    return _Sparse(held[-1], sizes(plain[0], "size"))


def _view(outside: Any, offset: Any, size: Any, stride: Any, given: str | None) -> View:
    held, own = storage(outside)
    shape, strides = sizes(size, "size"), sizes(stride, "stride")
    if len(shape) != len(strides):
        message = f"{len(shape)} sizes and {len(strides)} strides"
        raise BadTensorError(message)
    if type(offset) is not int or offset < 0:
        message = f"the offset {said(offset)}"
        raise BadTensorError(message)
    kind = given or own or "U8"
    each = bits(kind)
    extent = 0 if 0 in shape else 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if extent and (offset + extent) * each > held.room * 8:
        first, last, there = offset, offset + extent, held.room * 8 // each
        message = f"the elements {first:,} to {last:,} of a storage that has {there:,}"
        raise BadTensorError(message)
    start = held.at + min(offset * each // 8, held.room)
    made = View(kind, shape, held, start, start + -(-extent * each // 8))
    return _counted(made) if kind == "F4" else made


def _counted(seen: View) -> View:
    """Count elements of F4 where torch counts the bytes of two."""
    shape = seen.shape
    return seen._replace(shape=(*shape[:-1], 2 * shape[-1])) if seen.dtype == "F4" and shape else seen


_MAKERS: Mapping[str, Callable[[Call], Any]] = {
    REBUILD + "tensor": _strided,
    REBUILD + "tensor_v2": _strided,
    REBUILD + "tensor_v3": _strided_v3,
    REBUILD + "qtensor": _strided,
    REBUILD + "parameter": _wrapped,
    REBUILD + "parameter_with_state": _wrapped,
    REBUILD + "nested_tensor": _wrapped,
    REBUILD + "device_tensor_from_cpu_tensor": _wrapped,
    REBUILD + "sparse_tensor": _sparse,
    REBUILD + "meta_tensor_no_storage": _bare(0, meta=True),
    REBUILD + "wrapper_subclass": _bare(1, meta=False),
    "torch._tensor._rebuild_from_type_v2": _typed,
    "torch.nn.parameter.Parameter": _wrapped,
    "torch.nn.parameter.Buffer": _wrapped,
    "torch.Tensor": _old,
}
"""How a call is read, by the global that is called."""
