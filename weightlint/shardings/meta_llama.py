"""Meta's LLaMA: `consolidated.00.pth`, `consolidated.01.pth` ..., one file per tensor rank.

Source: meta-llama/llama3, llama/generation.py: as many files as ranks, in order of their names. The
embedding is cut along its second dimension in LLaMA 1 and 2, along its first in 3.
"""

from __future__ import annotations

import re

from weightlint.sharding import Sharding

SHARDING = Sharding(
    name="meta_llama",
    title="Meta's LLaMA",
    pattern=re.compile(r"consolidated\.(?P<tp>\d{2,3})\.pth"),
    dialects=frozenset({"mistral"}),
    cure="download all files of original/ again",
)
