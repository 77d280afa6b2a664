"""What a framework makes of a plan, as data: splits, paddings, copies, and what it refuses.

The defaults are plain arithmetic, by which a plan is judged where no loader is named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERYWHERE = "every"
"""A place of a tensor outside the layers: every stage has it. The others are `first`, `last`, `both`."""

PLAIN_PLACES: Mapping[str, str] = {"embedding": "first", "norm": "last", "head": "last"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertRules:
    """How experts are dealt to ranks.

    `remainder` says where experts that do not come out even go: to the `first` or `last` ranks, or
    `refused`, or `odd` where frameworks differ. `group` is what the degree must fill: `all` ranks that
    share a stage or none, a divisor of `tp`, of `dp`, or of both (`any`). With `always`, experts are dealt
    even if the plan asks for no expert parallelism. `inner` tells that neighbouring ranks hold other experts,
    not other slices of the same, `never_cut` that dealt experts are whole. `round_robin` tells that it can deal so. With redundant copies the number
    must come out even in any case.
    """

    remainder: str = "odd"
    group: str = "any"
    inner: bool = False
    always: bool = False
    never_cut: bool = False
    round_robin: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRules:
    """What must hold between a rank's width and the blocks of a quantisation.

    `columns` says which matrices are held to it along their output: those that are `cut`, those `merged`
    with others as well even if uncut, or only `single` ones that are cut. `merged` are the last names of
    modules that the framework fuses, `first` those of them that others lie below, which cannot be loaded
    with half a block. `experts` is the least common divisor of width and block that it takes, 0 for the
    whole block.
    """

    columns: str = "cut"
    merged: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    experts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """The rules of one framework for a range of versions.

    `kinds` are the kinds of parallelism that it has. `split` names an algorithm of `weightlint.pipeline`.
    `places` gives, by the kind of a tensor outside the layers, the stage that has it; `odd_places` the same
    for the schemas named. With `tied_last`, an embedding that is also the head is on the last stage too.
    `mtp` says where MTP layers are: a model of their `own`, the `last` stage, a `layer` like others, or
    `dropped`. `kv` says what becomes of kv heads that are fewer than ranks: `copied` or `refused`.
    `ragged` tells that a dimension which does not come out even is cut in chunks, the last ones shorter.
    `vocab` is what the vocabulary is padded to a multiple of, 0 for no padding; with `vocab_share` each
    rank's share is such a multiple `always`, `never`, or where the whole would not come out even
    (`otherwise`). `whole` are kinds of tensors, `whole_names` parts of their names by schema, that are not
    cut. `unstaged` are schemas of which each rank of a pipeline builds all layers. `empty` tells that a stage may have no layers. `words` are its messages by what they are about.
    """

    kinds: frozenset[str] = frozenset({"tp", "pp", "ep", "dp"})
    split: str = "first_one_more"
    places: Mapping[str, str] = field(default_factory=lambda: PLAIN_PLACES)
    odd_places: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tied_last: bool = False
    mtp: str = "last"
    heads: bool = True
    kv: str = "copied"
    ragged: bool = False
    vocab: int = 1
    vocab_share: str = "always"
    whole: frozenset[str] = frozenset()
    whole_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unstaged: frozenset[str] = frozenset()
    empty: bool = False
    experts: ExpertRules = ExpertRules()
    blocks: BlockRules = BlockRules()
    headroom: float = 1.0
    words: Mapping[str, str] = field(default_factory=dict)


NEUTRAL = PlanRules()
"""Plain arithmetic, where no loader is named; a vocabulary may be padded to whatever is needed."""
