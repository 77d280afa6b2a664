"""vLLM and SGLang, load format `sharded_state`: the live model of each rank as one or more part files.

`model-rank-{tp}-part-{part}.safetensors`, or with pipeline stages
`model-pp-{pp}-tp-{tp}-part-{part}.safetensors`. The tensors have the names of the running model.
Source: vLLM 0.33.0, model_executor/model_loader/sharded_state_loader.py: it stops at a key that the
rank does not know and at one that is left over, and narrows or widens nothing.
"""

from __future__ import annotations

import re

from weightlint.sharding import Sharding

SHARDING = Sharding(
    name="sharded_state",
    title="vLLM's and SGLang's sharded state",
    pattern=re.compile(
        r"model-(?:rank-|pp-(?P<pp>\d{1,6})-tp-)(?P<tp>\d{1,6})-part-(?P<part>\d{1,6})\.safetensors"
    ),
    dialects=frozenset({"fused_runtime"}),
    cure="save the sharded state again in one run, into an empty folder",
)
