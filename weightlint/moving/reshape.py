"""Moves that keep every element and change how they are counted: views, transposes, rows of padding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.expr import round_up
from weightlint.moving.move import Concat, Row, Size, Split, known, need
from weightlint.moving.sizes import Dim, Dims

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weightlint.moving.move import Move


@dataclass(frozen=True, slots=True)
class Unflatten:
    """View dimension `dim` of every tensor as two, the outer one `into` wide."""

    dim: int
    into: Size

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Unflatten:
        """Work out the outer width."""
        del row
        return replace(self, into=known(self.into, size))

    def apply(self, row: Sequence[Dims]) -> Row:
        """Check that it divides."""
        into, dim = known(self.into), self.dim
        need(into.value and all(d[dim].value % into.value == 0 for d in row), f"no whole {into.value} parts")
        return [(*d[:dim], into, d[dim].over(into), *d[dim + 1 :]) for d in row]

    def inverse(self) -> Flatten:
        """Return the joining."""
        return Flatten(self.dim, self.into)

    def spelt(self) -> dict[str, object]:
        """Name dimension and outer width."""
        return {"move": "unflatten", "dim": self.dim, "into": known(self.into).value}


@dataclass(frozen=True, slots=True)
class Flatten:
    """View dimensions `dim` and `dim + 1` of every tensor as one; the outer one is `into` wide."""

    dim: int
    into: Size = ""

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Flatten:
        """Remember the outer width."""
        del size
        return replace(self, into=row[0][self.dim])

    def apply(self, row: Sequence[Dims]) -> Row:
        """Multiply the two widths."""
        into, dim = known(self.into).value, self.dim
        need(
            all(len(d) > dim + 1 and d[dim].value == into for d in row), f"dimension {dim} is not {into} wide"
        )
        return [(*d[:dim], d[dim].times(d[dim + 1]), *d[dim + 2 :]) for d in row]

    def inverse(self) -> Unflatten:
        """Return the parting."""
        return Unflatten(self.dim, self.into)

    def spelt(self) -> dict[str, object]:
        """Name dimension and outer width."""
        return {"move": "flatten", "dim": self.dim, "into": known(self.into).value}


@dataclass(frozen=True, slots=True)
class Swap:
    """Transpose two dimensions of every tensor, or of the one at place `only` of the row."""

    a: int
    b: int
    only: int | None = None

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Swap:
        """Return itself: it has no sizes."""
        del row, size
        return self

    def apply(self, row: Sequence[Dims]) -> Row:
        """Exchange the two widths."""
        return [self._swapped(dims) if self.only in {None, at} else dims for at, dims in enumerate(row)]

    def _swapped(self, dims: Dims) -> Dims:
        order = list(dims)
        order[self.a], order[self.b] = order[self.b], order[self.a]
        return tuple(order)

    def inverse(self) -> Swap:
        """Return itself: twice is nothing."""
        return self

    def spelt(self) -> dict[str, object]:
        """Name the dimensions and the place."""
        out: dict[str, object] = {"move": "swap", "dims": [self.a, self.b]}
        return out if self.only is None else out | {"only": self.only}


@dataclass(frozen=True, slots=True)
class Pad:
    """Fill the outermost dimension of every tensor with zeros up to a multiple; `rows` are real."""

    multiple: Size
    rows: Size = ""

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Pad:
        """Remember the real rows."""
        return Pad(known(self.multiple, size), row[0][0])

    def apply(self, row: Sequence[Dims]) -> Row:
        """Round the rows up."""
        rows, multiple = known(self.rows), known(self.multiple)
        need(all(dims[0].value == rows.value for dims in row), f"not {rows.value} rows")
        text = f"round_up({rows.text}, {multiple.text})" if rows.text and multiple.text else ""
        return [(Dim(round_up(rows.value, multiple.value), text), *dims[1:]) for dims in row]

    def inverse(self) -> Trim:
        """Return the cutting away."""
        return Trim(self.multiple, self.rows)

    def spelt(self) -> dict[str, object]:
        """Name real rows and multiple."""
        return {"move": "pad", "rows": known(self.rows).value, "multiple": known(self.multiple).value}


@dataclass(frozen=True, slots=True)
class Trim:
    """Keep the first `rows` of the outermost dimension of every tensor."""

    multiple: Size
    rows: Size

    def bound(self, row: Sequence[Dims], size: Callable[[str], int]) -> Trim:
        """Work out the sizes."""
        del row
        return Trim(known(self.multiple, size), known(self.rows, size))

    def apply(self, row: Sequence[Dims]) -> Row:
        """Check that there is something to cut, and cut."""
        rows = known(self.rows)
        need(all(dims[0].value >= rows.value for dims in row), f"fewer than {rows.value} rows")
        return [(rows, *dims[1:]) for dims in row]

    def inverse(self) -> Pad:
        """Return the filling."""
        return Pad(self.multiple, self.rows)

    def spelt(self) -> dict[str, object]:
        """Name real rows and multiple."""
        return {"move": "trim", "rows": known(self.rows).value, "multiple": known(self.multiple).value}


def rope(heads: str) -> tuple[Move, ...]:
    """Order the rows of queries or keys for rotation of neighbours, as Meta and llama.cpp do.

    Hugging Face rotates row i of a head with row i + head_dim / 2. Source: llama.cpp,
    conversion/llama.py `permute`; transformers, models/llama/convert_llama_weights_to_hf.py.
    """
    return Unflatten(0, heads), Unflatten(1, "2"), Swap(1, 2), Flatten(1), Flatten(0)


def grouped(groups: str) -> tuple[Move, ...]:
    """Make one tensor of queries, keys and values, the rows of each group of queries together.

    Source: Megatron-LM, megatron/core/transformer/attention.py (linear_qkv); so is GPT-NeoX's own.
    """
    return Unflatten(0, groups), Concat(1), Flatten(0)


def ungrouped(heads: str, width: str) -> tuple[Move, ...]:
    """Part queries, keys and values that stand head by head, and put them one after the other.

    Source: LitGPT, scripts/convert_hf_checkpoint.py `qkv_reassemble`; llama.cpp, conversion of GPT-NeoX.
    """
    return Unflatten(0, heads), Split((width,) * 3, dim=1), Flatten(0), Concat(0)
