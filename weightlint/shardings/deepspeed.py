"""DeepSpeed ZeRO: what training resumes from, no weights that a model could load.

`[bf16_]zero_pp_rank_{n}_mp_rank_{m}_optim_states.pt` hold flat pieces of all parameters in a row;
`mp_rank_{m}_model_states.pt` has the weights up to stage 2 and empty ones in stage 3. Source:
deepspeedai/DeepSpeed, deepspeed/utils/zero_to_fp32.py, which puts them together.
"""

from __future__ import annotations

import re

from weightlint.sharding import Sharding

SHARDING = Sharding(
    name="deepspeed",
    title="DeepSpeed ZeRO",
    pattern=re.compile(
        r"(?:(?:bf16_|fp16_)?zero_pp_rank_(?P<tp>\d{1,5})_)?mp_rank_\d{2,4}_(?:optim|model)_states\.pt"
    ),
    dialects=frozenset(),
    useless="each holds a flat piece of all parameters in a row, with which training resumes; no loader of "
    "models reads them",
    cure="put them together: `python zero_to_fp32.py . OUTPUT --safe_serialization`, which DeepSpeed left "
    "in the folder above, and check OUTPUT",
)
