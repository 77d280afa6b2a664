"""Tensors of which a loader makes one: what becomes of either depends on the other, and on which comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.loading.model import TORCH
from weightlint.loading.outcome import Fill, Outcome, Skip
from weightlint.loading.steps import Tensor

if TYPE_CHECKING:
    from collections.abc import Hashable

    from weightlint.index import Index
    from weightlint.loading.family import Family
    from weightlint.loading.load import Loader


class Partners:
    """The pairs of a family in one checkpoint."""

    def __init__(self, family: Family, index: Index | None) -> None:
        self.pairs = tuple(
            (f".{a}.", f".{b}.") for fuse in family.fuse if fuse.paired for a, b in (fuse.parts,)
        )
        self.index = index

    def concerns(self, name: str) -> bool:
        """Tell whether a tensor, or a family of them, is half of a pair."""
        return any(part in name for pair in self.pairs for part in pair)

    def mark(self, name: str) -> Hashable:
        """Tell what sets this half apart from those of other layers: what its partner is, and which comes first."""
        other = self._row(name)
        if self.index is None or other is None:
            return None
        return self.index.kinds[self.index.kind_ids[other]], other < self.index.rows.get(name, other)

    def fed(self, loader: Loader, tensor: Tensor) -> Outcome:
        """Say what becomes of one tensor of the checkpoint, or of one that it might have, on a rank."""
        if not self.concerns(tensor.name):
            return loader.feed(tensor)
        other = self._row(tensor.name)
        if self.index is None or other is None:
            outcome = loader.feed(tensor)
            loader.forget()
            return outcome
        kind = self.index.kinds[self.index.kind_ids[other]]
        dtype = kind.dtype or ""
        partner = Tensor(self.index.names[other], kind.shape or (), TORCH.get(dtype, dtype))
        if other < self.index.rows.get(tensor.name, other + 1):
            loader.feed(partner)
            outcome = loader.feed(tensor)
        else:
            outcome, both = loader.feed(tensor), loader.feed(partner)
            outcome = (
                both if isinstance(outcome, Skip) and isinstance(both, Fill) and both.beside else outcome
            )
        loader.forget()
        return outcome

    def _row(self, name: str) -> int | None:
        """Return the partner's row in the index."""
        for first, second in self.pairs:
            for here, there in ((first, second), (second, first)):
                if here in name and self.index is not None:
                    return self.index.rows.get(name.replace(here, there))
        return None
