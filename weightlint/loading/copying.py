"""How a framework copies a tensor into a parameter of one rank: which slice, and what it checks first.

The words of the exceptions are torch's and the frameworks' own, so that a user finds the traceback again.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from weightlint.dtype import Shape
from weightlint.loading.assigning import unassignable
from weightlint.loading.outcome import Failure, Fill, Outcome, Skip

NO_DIMENSION = Failure("IndexError", "tuple index out of range")
"""What Python raises where a dimension is asked for that a shape does not have."""

Placed = tuple[Shape, Shape, int]
"""Start and shape of what is written, in the part of the parameter that the tensor is for; elements padded."""


class Cutting(NamedTuple):
    """How a rank takes its slice of a tensor: piece `at` along `dim`, None where it takes all of it.

    `short` is what a loader does with a tensor that ends before the slice does: `error`, or `pad` with zeros.
    """

    dim: int | None = None
    at: int = 0
    short: str = "error"


def narrow(shape: Shape, dim: int, start: int, length: int) -> Shape | Failure:
    """Cut a tensor as `torch.Tensor.narrow` does."""
    if not shape:
        return Failure("RuntimeError", "narrow() cannot be applied to a 0-dim tensor.")
    if dim >= len(shape):
        text = f"Dimension out of range (expected to be in range of [-{len(shape)}, {len(shape) - 1}], but got {dim})"
        return Failure("IndexError", text)
    if start > shape[dim]:
        span = f"[{-shape[dim]}, {shape[dim]}]"
        return Failure(
            "IndexError", f"start out of range (expected to be in range of {span}, but got {start})"
        )
    if start + length > shape[dim]:
        return Failure(
            "RuntimeError",
            f"start ({start}) + length ({length}) exceeds dimension size ({shape[dim]}).",
        )
    return (*shape[:dim], length, *shape[dim + 1 :])


def broadcast(source: Shape, target: Shape) -> Failure | None:
    """Refuse what `torch.Tensor.copy_` cannot broadcast."""
    dims = max(len(source), len(target))
    wide = []
    for back in range(1, dims + 1):
        have = source[-back] if back <= len(source) else 1
        want = target[-back] if back <= len(target) else 1
        if have != want and 1 not in (have, want):
            text = f"The size of tensor a ({want}) must match the size of tensor b ({have}) at non-singleton dimension {dims - back}"
            return Failure("RuntimeError", text)
        wide.append(want if have == 1 else have)
    if tuple(reversed(wide)) == target:
        return None
    text = "output with shape {} doesn't match the broadcast shape {}"
    return Failure("RuntimeError", text.format([*target], wide[::-1]))


def size_text(shape: Shape) -> str:
    """Write a shape as torch does."""
    return f"torch.Size({[*shape]})"


class Whole(NamedTuple):
    """Copy all of it if the shapes agree. `text` is the assertion's, with `{tensor}` and `{param}`."""

    text: str = ""
    lifts_scalar: bool = False

    def place(self, found: Shape, room: Shape, cutting: Cutting) -> Placed | Failure:
        """Ask for equal shapes; with `lifts_scalar` a tensor without dimensions counts as one of 1."""
        del cutting
        if self.lifts_scalar and not found:
            found = (1,)
        if found != room and not (not self.lifts_scalar and prod(found) == prod(room) == 1):
            text = self.text.replace("{tensor}", size_text(found)).replace("{param}", size_text(room))
            return Failure("AssertionError", text)
        return (0,) * len(room), room, 0


class Sliced(NamedTuple):
    """Take the rank's piece, then ask for equal shapes; a piece beyond what is there is torch's error.

    `lifts` says when a tensor without dimensions becomes one of 1: `first`, `last` (after it was cut) or never. `casts`
    is `up` where a dtype of less precision is refused.
    """

    text: str = ""
    lifts: str = ""
    casts: str = "any"

    def place(self, found: Shape, room: Shape, cutting: Cutting) -> Placed | Failure:
        """Narrow, compare, copy."""
        padded = 0
        if self.lifts == "first" and not found:
            found = (1,)
        if cutting.dim is not None and cutting.dim < len(room):
            size = room[cutting.dim]
            begin = cutting.at * size
            if cutting.short == "pad" and cutting.dim >= len(found):
                return NO_DIMENSION
            if cutting.short == "pad" and begin + size > found[cutting.dim]:
                taken: Shape | Failure = (*found[: cutting.dim], size, *found[cutting.dim + 1 :])
                have = max(found[cutting.dim] - begin, 0)
                padded = prod(room) // size * (size - have) if size else 0
            else:
                taken = narrow(found, cutting.dim, begin, size)
            if isinstance(taken, Failure):
                return taken
            found = taken
        if self.lifts and not found:
            found = (1,)
        if found != room:
            text = self.text.replace("{tensor}", size_text(found)).replace("{param}", size_text(room))
            return Failure("AssertionError", text)
        if not padded or cutting.dim is None:
            return (0,) * len(room), room, 0
        have = room[cutting.dim] - padded * room[cutting.dim] // prod(room)
        return (0,) * len(room), (*room[: cutting.dim], have, *room[cutting.dim + 1 :]), padded


class Vocabulary(NamedTuple):
    """Rows of a table that is padded in memory: the tensor must have exactly the config's `rows`."""

    rows: int
    text: str = ""

    def place(self, found: Shape, room: Shape, cutting: Cutting) -> Placed | Failure:
        """Compare the rows, take the rank's, fill what is beyond them with zeros."""
        if not found:
            return NO_DIMENSION
        if found[0] != self.rows:
            return Failure("AssertionError", self.text.format(rows=self.rows, found=found[0]))
        begin = min(cutting.at * room[0], self.rows)
        have = min(begin + room[0], self.rows) - begin
        taken = (have, *found[1:])
        wrong = broadcast(taken, (have, *room[1:]))
        if wrong is not None:
            return wrong
        return (0,) * len(room), (have, *room[1:]), (room[0] - have) * prod(room[1:])


class Expert(NamedTuple):
    """One expert's matrix, of which the rank takes a piece; copied without comparing the shapes.

    `fits` is what is done with one of another size: `narrow` takes the piece that the parameter has room for and
    broadcasts; `share` takes an equal share of what is there and writes only that much; `pad` takes the same share and
    fills up with zeros; `assign` takes it whole, as `parameter[expert] = tensor` does. `refined` are the scales that
    stand for one of the checkpoint's, in rows and columns. A tensor of three dimensions is taken for all experts.
    """

    fits: str = "narrow"
    ways: int = 1
    refined: tuple[int, int] = (1, 1)

    def place(self, found: Shape, room: Shape, cutting: Cutting) -> Placed | Failure | Skip:
        """Take the piece as this framework does, then copy it as torch does."""
        if self.refined != (1, 1):
            if len(found) < 2:
                return _no_such_dimension(len(found), -2)
            *outer, rows, columns = found
            found = (*outer, rows * self.refined[0], columns * self.refined[1])
        dim = cutting.dim
        if dim is not None and len(room) > 2:
            dim += 1
        if self.fits == "share":
            return self._share(found, room, dim)
        if self.fits == "pad":
            return self._padded(found, room, dim)
        if self.fits == "assign":
            return unassignable(found, room) or ((0,) * len(room), room, 0)
        if dim is not None:
            taken = narrow(found, dim, cutting.at * room[dim], room[dim])
            if isinstance(taken, Failure):
                return taken
            found = taken
        return broadcast(found, room) or ((0,) * len(room), room, 0)

    def _padded(self, found: Shape, room: Shape, dim: int | None) -> Placed | Failure:
        small = room
        if dim is not None:
            if dim >= len(found):
                return NO_DIMENSION
            each = found[dim] // self.ways
            found = (*found[:dim], each, *found[dim + 1 :])
            if len(found) == len(room) and each < room[dim]:
                small = (*room[:dim], each, *room[dim + 1 :])
        return broadcast(found, small) or ((0,) * len(room), small, prod(room) - prod(small))

    def _share(self, found: Shape, room: Shape, dim: int | None) -> Placed | Failure | Skip:
        if dim is not None and found:
            if dim >= len(found):
                return NO_DIMENSION
            if not found[dim]:
                return Skip("empty")
            each = found[dim] // self.ways
            found = (*found[:dim], each, *found[dim + 1 :])
        inner = range(len(room) - 2, len(room))
        small = tuple(
            min(want, found[at]) if at in inner and at < len(found) else want for at, want in enumerate(room)
        )
        return broadcast(found, small) or ((0,) * len(room), small, 0)


def _no_such_dimension(dims: int, dim: int) -> Failure:
    span = f"[{-max(dims, 1)}, {max(dims, 1) - 1}]"
    return Failure("IndexError", f"Dimension out of range (expected to be in range of {span}, but got {dim})")


Copy = Whole | Sliced | Vocabulary | Expert


def placed(param: str, offset: Shape, result: Placed | Failure | Skip) -> Outcome:
    """Say where in the whole parameter a part was written; `offset` may have the expert's number in front."""
    if not isinstance(result, tuple):
        return result
    start, shape, padded = result
    extra = len(offset) - len(start)
    at = tuple(a + b for a, b in zip(offset[extra:], start, strict=True))
    return Fill(param, (*offset[:extra], *at), shape, padded)
