"""dcp: folders of torch.distributed.checkpoint, of torchtitan, FSDP and Megatron's torch_dist.

`.metadata` says of every tensor which chunks it has and in which `.distcp` file each of them is. How it is
read is in `weightlint.dcp`, which is imported when the first such folder is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.dcp.files import SUFFIX, is_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.format import Survey, Tabled
    from weightlint.store import Store


@dataclass(frozen=True, slots=True)
class Dcp:
    """The format as the drawer offers it."""

    name: str = "dcp"
    order: int = 1

    def owns(self, name: str) -> bool:
        """Tell whether a file of this name belongs to such a folder."""
        return is_table(name) or name.endswith(SUFFIX)

    def survey(self, store: Store, names: Sequence[str]) -> Survey:
        """Read the table of a folder."""
        from weightlint.dcp.survey import survey

        return survey(store, names)


FORMAT: Tabled = Dcp()
