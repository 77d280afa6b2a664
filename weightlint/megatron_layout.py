"""Pipeline layouts of Megatron-LM as text: `E t*3|(t|)*3 t*4|t m L`.

E is the embedding, t a decoder layer, m an MTP layer, L the loss with the head. Grammar, order of virtual
stages and conditions: Megatron-LM, megatron/core/transformer/pipeline_parallel_layer_layout.py.
"""

from __future__ import annotations

import re

from weightlint.errors import UsageError
from weightlint.plan import Stage

MAX_LENGTH = 100_000
"""Characters of a layout with all repetitions written out."""

_REPEATED = (re.compile(r"\(([^()]+)\)\*(\d{1,5})"), re.compile(r"([EtmL|])\*(\d{1,5})"))
KNOWN = frozenset("EtmL")


def read(text: str, pp: int) -> tuple[Stage, ...]:
    """Return what each of `pp` ranks holds; of virtual stages all ranks' first come before all second.

    Raises:
        UsageError: not a layout, or not one for so many ranks.
    """
    chunks = _written_out(text).split("|")
    if len(chunks) % pp:
        message = f"layout {text!r} has {len(chunks)} stages, which {pp} pipeline ranks cannot share evenly"
        raise UsageError(message)
    _check(text, "".join(chunks))
    held: list[list[int]] = [[] for _ in range(pp)]
    letters = [""] * pp
    layer = 0
    for number, chunk in enumerate(chunks):
        rank = number % pp
        letters[rank] += chunk
        for _ in range(chunk.count("t")):
            held[rank].append(layer)
            layer += 1
    return tuple(
        Stage(layers=tuple(layers), embedding="E" in has, head="L" in has, mtp="m" in has)
        for layers, has in zip(held, letters, strict=True)
    )


def _written_out(text: str) -> str:
    out = re.sub(r"[\s,]", "", text)
    for pattern in _REPEATED:
        while found := pattern.search(out):
            out = out[: found.start()] + found[1] * int(found[2]) + out[found.end() :]
            if len(out) > MAX_LENGTH:
                message = f"layout {text[:60]!r} has more than {MAX_LENGTH:,} layers"
                raise UsageError(message)
    return out


def _check(text: str, letters: str) -> None:
    if unknown := set(letters) - KNOWN:
        why = f"has {''.join(sorted(unknown))!r}; known are E, t, m, L, |, (...)*n and x*n"
    elif letters.count("E") != 1 or not letters.startswith("E"):
        why = "must begin with the embedding E, and have it once"
    elif letters.count("L") != 1 or not letters.endswith("L"):
        why = "must end with the loss L, and have it once"
    elif "mt" in letters:
        why = "has a decoder layer t after an MTP layer m"
    else:
        return
    message = f"layout {text!r} {why}"
    raise UsageError(message)
