"""What the modules of a framework do with a tensor, by kind of module, and what a family refuses: parts of a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Way(NamedTuple):
    """How modules of one kind take a tensor.

    `of` are kinds (`column`, `row`, `replicated`, `router`, `plain`) or names of fused parameters; `quantised` narrows
    them to modules under block scales, or to the others. `text` are the words of the assertion on shapes. `short` is
    `pad` where a tensor that ends early is filled up with zeros, `casts` is `up` where a dtype of less precision is
    refused, and `lifts` tells that a tensor without dimensions counts as one of 1.
    """

    of: tuple[str, ...]
    quantised: bool | None = None
    text: str = ""
    short: str = "error"
    casts: str = "any"
    lifts: bool = False


class Raises(NamedTuple):
    """An exception that does not depend on the checkpoint; `when` is `stages` where it needs several of them."""

    kind: str
    text: str = ""
    when: str = ""


class Shared(NamedTuple):
    """When the shared expert is loaded into the stack of the routed ones, behind the last of them.

    `module` is its name; `where` are the values of config fields that it takes. Not where experts are parallel, unless
    `with_ep`; `per_rank` where each rank of tp adds a copy. `gathers` are the tensors that must all be there before
    anything is copied, `gathers_plain` those of a model that is not quantised.
    """

    module: str
    where: Mapping[str, int]
    with_ep: bool = False
    per_rank: bool = False
    gathers: tuple[str, ...] = ()
    gathers_plain: tuple[str, ...] = ()
