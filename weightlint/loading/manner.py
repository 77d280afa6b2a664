"""How a loader takes one kind of defect, as data: what it raises, says, or leaves unsaid.

For loaders whose way with each tensor is not recorded this is all that is known; for the others it says what happens
before any tensor is read. Source of the first rows: the matrix of strictness in the notes on dialects, then runs.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from weightlint.version import within

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFECTS: dict[str, str] = {
    "missing": "",
    "head_missing": "missing",
    "router_bias_missing": "missing",
    "scale_missing": "missing",
    "projection_missing": "missing",
    "expert_missing": "projection_missing",
    "experts_missing": "missing",
    "layer_missing": "missing",
    "mtp_missing": "",
    "misnamed": "missing",
    "extra": "",
    "expert_extra": "extra",
    "scale_extra": "extra",
    "mtp_extra": "extra",
    "head_extra": "",
    "shape": "",
    "expert_shape": "shape",
    "dtype": "",
    "stacked_experts": "",
    "file_missing": "",
    "file_torn": "",
    "format": "",
    "dialect": "",
}
"""Kinds of defects, each with the one that it is a case of: what holds for that holds for it, unless its own row says more."""

WAYS = ("raises", "warns", "silent", "handles")


class Facts(NamedTuple):
    """What a row can depend on beside the release: schema, dialect, format, and the names that are concerned."""

    arch: str
    dialect: str
    format: str
    names: Sequence[str] = ()


class Manner(NamedTuple):
    """One row: what releases in `versions` do with a defect.

    `does` is one of `WAYS`. `words` is what the loader raises or prints, with `{name}` of the first tensor, `{count}`, and
    the shapes `{found}` and `{wanted}`. `says` is what it does, in words that follow its name. With `wrong` it goes on
    and its results are wrong. `archs`, `dialects`, `formats` and `names` (patterns for the first tensor) restrict the row. `seen`
    is `run` where the release was run with such a checkpoint, `read` where its code was read, `told` where an issue tells it.
    """

    defect: str
    does: str
    versions: str = ""
    words: str = ""
    says: str = ""
    wrong: bool = False
    archs: tuple[str, ...] = ()
    dialects: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    seen: str = "read"
    source: str = ""

    @property
    def stops(self) -> bool:
        """Tell whether loading ends there."""
        return self.does == "raises"

    def fits(self, facts: Facts, version: str) -> bool:
        """Tell whether the row holds for a release and a checkpoint."""
        return (
            within(version, self.versions)
            and (not self.archs or facts.arch in self.archs)
            and (not self.dialects or facts.dialect in self.dialects)
            and (not self.formats or facts.format in self.formats)
            and (not self.names or any(fnmatchcase(facts.names[0], it) for it in self.names if facts.names))
        )


def chosen(rows: Iterable[Manner], defect: str, facts: Facts, version: str) -> Manner | None:
    """Return the row for a defect: the last one that fits, else that of the kind that it is a case of."""
    fitting = [row for row in rows if row.fits(facts, version)]
    while defect:
        own = [row for row in fitting if row.defect == defect]
        if own:
            return own[-1]
        defect = DEFECTS.get(defect, "")
    return None
