"""Which files belong to a folder of torch.distributed.checkpoint, by their names."""

from __future__ import annotations

import re

TABLE = ".metadata"
SUFFIX = ".distcp"
RANK_TABLE = re.compile(r"__\d{1,9}\.metadata")


def is_table(file: str) -> bool:
    """Tell whether a file is the table of a folder, or of one rank."""
    return file == TABLE or RANK_TABLE.fullmatch(file) is not None
