"""What a quant is: a way of quantising that a config declares, read into a scheme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightlint.expected import Expected
    from weightlint.scheme import Scheme


Table = Mapping[str, Any]
"""A quantisation table as the config writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quant:
    """One way of quantising.

    `title` is what people call it. `declared` tells whether a quantisation table asks for it; `read` makes a scheme of the table and
    raises `BadFieldError` where the table cannot be. `guesses` are tables that are tried where tensors do not fit what is
    declared, or nothing is; the most usual first. What `borrows` has the tensors of another scheme: only a declaration tells it.
    `field` is the key of its table in the config, `file` the file beside the config in which its writer declares it. `excluding` is
    the key under which the table names plain modules.
    """

    name: str
    title: str
    declared: Callable[[Table], bool]
    read: Callable[[Table], Scheme]
    guesses: tuple[Table, ...] = ()
    borrows: bool = False
    file: str = ""
    field: str = "quantization_config"
    excluding: str = "modules_to_not_convert"

    def rewrite(self, expected: Expected, table: Table) -> Expected:
        """Return the expectation under a table.

        Raises:
            BadFieldError: the table cannot be.
        """
        from weightlint.quantising import quantised

        return quantised(expected, self.read(table))


def declared(quants: Mapping[str, Quant], table: Table) -> Quant | None:
    """Return the one of these that a quantisation table asks for, None if none does.

    Those named after its method are asked first, so that the others need not be loaded.
    """
    method = str(table.get("quant_method", "")).replace("-", "_")
    names = sorted(quants, key=lambda name: not (method and name.startswith(method)))
    return next((quants[name] for name in names if quants[name].declared(table)), None)
