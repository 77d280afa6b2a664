"""Moves carried out on arrays: what the package says of shapes, proved on numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightlint.moving.move import Concat, Move, Split, Stack, Unstack, known
from weightlint.moving.opaque import Absorb, Dequantise
from weightlint.moving.reshape import Flatten, Pad, Swap, Trim, Unflatten
from weightlint.moving.sizes import Dim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.expected import Slot
    from weightlint.moving.name_map import Entry
    from weightlint.moving.recipe import Recipe

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


def carried(move: Move, row: Sequence[Array]) -> list[Array]:
    match move:
        case Stack(count=count):
            n = known(count).value
            return [np.stack(row[at : at + n]) for at in range(0, len(row), n)]
        case Unstack():
            return [part for array in row for part in array]
        case Concat(dim=dim):
            return [np.concatenate(row, axis=dim)]
        case Split(sizes=sizes, dim=dim):
            (array,) = row
            ends = np.cumsum([known(size).value for size in sizes])[:-1]
            return list(np.split(array, ends, axis=dim))
        case Unflatten(dim=dim, into=into):
            n = known(into).value
            return [a.reshape(*a.shape[:dim], n, a.shape[dim] // n, *a.shape[dim + 1 :]) for a in row]
        case Flatten(dim=dim):
            return [
                a.reshape(*a.shape[:dim], a.shape[dim] * a.shape[dim + 1], *a.shape[dim + 2 :]) for a in row
            ]
        case Swap(a=a, b=b, only=only):
            return [np.swapaxes(x, a, b) if only in {None, at} else x for at, x in enumerate(row)]
        case Pad(multiple=multiple):
            return [np.pad(a, [(0, -len(a) % known(multiple).value)] + [(0, 0)] * (a.ndim - 1)) for a in row]
        case Trim(rows=rows):
            return [a[: known(rows).value] for a in row]
        case Absorb():
            return [absorbed(move, *row)]
        case Dequantise(block=block, only=only):
            return dequantised(block, only, row)
    raise AssertionError(move)


def absorbed(move: Absorb, queries: Array, keys: Array) -> Array:
    """Multiply head by head, as the attention would: q_nope k_nope^T, then the rope rows."""
    heads, nope, rope = (known(size).value for size in (move.heads, move.nope, move.rope))
    q = queries.reshape(heads, nope + rope, -1)
    k = keys.reshape(heads, -1, keys.shape[1])
    rows = [np.concatenate([k[h, :nope].T @ q[h, :nope], q[h, nope:]]) for h in range(heads)]
    return np.concatenate(rows)


def dequantised(block: tuple[int, int], only: tuple[int, ...], row: Sequence[Array]) -> list[Array]:
    weights, scales = list(row[: len(row) - len(only)]), row[len(row) - len(only) :]
    for at, scale in zip(only, scales, strict=True):
        rows, columns = weights[at].shape
        wide = np.repeat(np.repeat(scale, block[0], 0), block[1], 1)[:rows, :columns]
        weights[at] = weights[at] * wide
    return weights


def random(slots: Sequence[Slot], seed: int = 0) -> Arrays:
    """Fill every tensor of these slots with whole numbers that differ from one another."""
    source = np.random.default_rng(seed)
    return {
        name: source.integers(-1000, 1000, slot.shape).astype(np.int64)
        for slot in slots
        for name in slot.names()
    }


def forward(recipes: Sequence[Recipe], arrays: Mapping[str, Array]) -> Arrays:
    out: Arrays = {}
    for recipe in recipes:
        for sources, targets in recipe.pairs():
            row = [arrays[name] for name in sources]
            for move in recipe.moves:
                row = carried(move, row)
            out |= dict(zip(targets, row, strict=True))
    return out


def backward(recipes: Sequence[Recipe], arrays: Mapping[str, Array]) -> Arrays:
    out: Arrays = {}
    for recipe in recipes:
        for sources, targets in recipe.pairs() if not recipe.derived else ():
            row = [arrays[name] for name in targets]
            for move in reversed(recipe.moves):
                row = carried(move.inverse(), row)
            out |= dict(zip(sources, row, strict=True))
    return out


def made(entry: Entry, arrays: Mapping[str, Array]) -> Arrays:
    """Carry out one entry of a name map."""
    known_now = {name: arrays[name] for name in entry.sources}
    for step in entry.steps:
        row = [known_now[name] for name in step.take]
        for move in step.moves:
            row = carried(move, row)
        known_now |= dict(zip(step.give, row, strict=True))
    return {name: known_now[name] for name in entry.targets}


def followed(entry: dict[str, Any], arrays: Mapping[str, Array]) -> Arrays:
    """Carry out one entry of a map as it was printed: nothing but its JSON is needed."""
    steps = entry["how"] or [{"moves": []}]
    now = {name: arrays[name] for name in entry["from"]}
    for step in steps:
        row = [now[name] for name in step.get("take", entry["from"])]
        for move in step["moves"]:
            row = carried(_read(move), row)
        now |= dict(zip(step.get("give", entry["to"]), row, strict=True))
    return {name: now[name] for name in entry["to"]}


def _read(told: dict[str, Any]) -> Move:
    """Read a move back from its JSON."""
    values = {key: value for key, value in told.items() if key not in {"move", "per_rank"}}
    kinds: dict[str, Any] = {
        "stack": Stack, "unstack": Unstack, "concat": Concat, "split": Split, "unflatten": Unflatten,
        "flatten": Flatten, "swap": Swap, "pad": Pad, "trim": Trim, "absorb": Absorb, "dequantise": Dequantise,
    }  # fmt: skip
    if told["move"] == "swap":
        values["a"], values["b"] = values.pop("dims")
    for key in ("count", "into", "multiple", "rows", "heads", "nope", "rope"):
        if key in values:
            values[key] = Dim(values[key])
    if "sizes" in values:
        values["sizes"] = tuple(map(Dim, values["sizes"]))
    made: Move = kinds[told["move"]](**values)
    return made
