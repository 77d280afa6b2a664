"""verl's FSDP shards: `model_world_size_{n}_rank_{r}.pt`, a slice of every tensor as DTensor.

They have no table of contents, unlike torch's distributed checkpoints, and need verl's own merger
(zz1358m/SofT-GRPO-master #2). Source: volcengine/verl, verl/model_merger.
"""

from __future__ import annotations

import re

from weightlint.sharding import Sharding

SHARDING = Sharding(
    name="fsdp",
    title="verl's FSDP training",
    pattern=re.compile(r"model_world_size_(?P<of>\d{1,5})_rank_(?P<tp>\d{1,5})\.pt"),
    dialects=frozenset(),
    useless="each holds a slice of every tensor, with which training resumes; no loader of models reads them",
    cure="merge them with `python -m verl.model_merger merge --backend fsdp`, and check what it writes",
)
