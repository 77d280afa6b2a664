"""Storages of a torch file as its pickle names them, and the plain arguments of a tensor.

Persistent id of a storage: kind, class, key, location, elements (torch/serialization.py, `persistent_id`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint.finding import printable
from weightlint.pickling.values import Call, Global, Persistent
from weightlint.torch_files.types import DTYPES, STORAGES, bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.dtype import Shape

MAX_RANK = 64
_U63 = 1 << 63
_WHOLE = frozenset({int})


_CLASSES: Mapping[str, tuple[str | None, int]] = {
    f"{module}.{name}": (dtype, bits(dtype) if dtype else 8)
    for module in ("torch", "torch.storage", "torch.cuda")
    for name, dtype in STORAGES.items()
}
"""Element type and its bits by the full name of a storage class."""


class Storage(NamedTuple):
    """A storage as the pickle names it: its key, and `size` in bytes.

    A view of a part of it (legacy files only) begins at `at` and has `room` bytes.
    """

    key: str
    size: int
    at: int
    room: int


class BadTensorError(Exception):
    """No such tensor can be; the text says why, in words that follow `w of FILE has`."""


def storage(value: object) -> tuple[Storage, str | None]:
    """Return what a pickle says of a storage, and the type that its class has.

    Raises:
        BadTensorError: it is none.
    """
    of = value.id if type(value) is Persistent else ()
    if len(of) < 5 or of[0] not in ("storage", b"storage"):
        message = "no storage"
        raise BadTensorError(message)
    kind, key, numel = of[1], of[2], of[4]
    name = kind.name if type(kind) is Global else ""
    if name not in _CLASSES:
        message = f"a storage of the type {printable(name or 'that is no name', limit=80)}, which is none"
        raise BadTensorError(message)
    if type(key) is not str or type(numel) is not int or not 0 <= numel < _U63:
        message = f"a storage {said(key)} of {said(numel)} elements"
        raise BadTensorError(message)
    own, each = _CLASSES[name]
    size = -(-numel * each // 8)
    if len(of) < 6 or of[5] is None:
        return Storage(key, size, 0, size), own
    at, room = _part(of[5], numel)
    return Storage(key, size, at * each // 8, -(-room * each // 8)), own


def _part(part: Any, numel: int) -> tuple[int, int]:
    """Read the view of a storage in a legacy file: key, offset, elements."""
    if type(part) is tuple and len(part) == 3 and type(part[1]) is type(part[2]) is int:
        if part[1] >= 0 and part[2] >= 0 and part[1] + part[2] <= numel:
            return part[1], part[2]
    message = "a view past the end of its storage"
    raise BadTensorError(message)


def sizes(value: Any, what: str) -> Shape:
    """Return a row of whole numbers, none below zero; `what` names them."""
    if type(value) is Call and value.name == "torch.Size" and type(value.args) is tuple and value.args:
        value = value.args[0]
    if type(value) is list:
        value = tuple(value)
    if type(value) is not tuple or not _WHOLE.issuperset(map(type, value)):
        message = f"a {what} that is no row of whole numbers"
        raise BadTensorError(message)
    if len(value) > MAX_RANK:
        message = f"{len(value):,} dimensions, the limit is {MAX_RANK}"
        raise BadTensorError(message)
    if value and (min(value) < 0 or max(value) >= _U63):
        wrong = next(each for each in value if not 0 <= each < _U63)
        message = f"the {what} {said(wrong)}"
        raise BadTensorError(message)
    return value


def dtype(value: Any) -> str:
    """Return the house spelling of a torch dtype."""
    name = value.name if type(value) is Global else ""
    module, _, last = name.rpartition(".")
    if module != "torch" or last not in DTYPES:
        message = f"the type {printable(name or 'that is no name', limit=80)}, which is none"
        raise BadTensorError(message)
    return DTYPES[last]


def said(value: Any) -> str:
    """Return a value as a message shows it; numbers without end are not written out."""
    if type(value) is int and abs(value) < _U63:
        return f"{value:,}"
    return printable(repr(value), limit=40) if type(value) is str else "that is no sensible number"
