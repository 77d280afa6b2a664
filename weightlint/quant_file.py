"""Quantisation tables that lie in a file of their own, beside a config that declares nothing.

Which files there are is said by the quants; what is there but no table counts for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint import small_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.quant import Quant
    from weightlint.store import Store

MAX_BYTES = 1 << 24
"""16 MiB: a table that names every expert of a large model has about 4."""


def beside(store: Store | None, quants: Mapping[str, Quant]) -> dict[str, Any] | None:
    """Return the table of the first such file, with the quant_method that its name stands for."""
    there = set(store.names()) if store is not None else set()
    for name, method in ((name, it) for quant in quants.values() for name, it in quant.beside.items()):
        if store is not None and name in there:
            table = small_file.table(small_file.read(store, name, limit=MAX_BYTES))
            if table is not None:
                return {"quant_method": method, **table}
    return None
