"""Which part of a torch file is the model's state dict, and the names of its tensors.

A name is the dotted path through the tables and lists of the file, as it stands there: of
`{"model": {"lm_head.weight": t}, "optimizer": ...}` the name is `model.lm_head.weight`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from weightlint.finding import printable
from weightlint.pickling.values import Call, Global, pairs
from weightlint.torch_files.tensors import is_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DEPTH = 1_000
MAX_PLACES = 1 << 19
"""Places that are visited to find the names; a table may stand in many places."""

MAX_TEXT = 1 << 27
"""Characters of all names together."""

MAX_NOTES = 1_000
"""Values beside the weights that are kept."""

_WEIGHTS = re.compile(
    r"(model|module|state_dict|model_state_dict|model_state|net|network|params|weights|model\d{1,3})"
)
"""Keys under which training programs keep the weights; with `model0` Megatron's virtual stages."""

_BESIDE = re.compile(
    r"(.*_)?(optim[a-z]*|sched[a-z]*|rng|scaler|random|hyper|callbacks|loops|dataloader|sampler|args|config|history)"
    r"(_.*)?|opt_state|(train_|trainer_)?state|epoch|iteration|step|global_step|amp|trainer|metrics|loss|chained_\d+",
    re.IGNORECASE,
)
"""Keys of what training programs keep beside the weights."""


class BadStateDictError(Exception):
    """There is no state dict; the text says why, in words that follow the file's name."""


@dataclass(frozen=True, slots=True)
class StateDict:
    """Tensors by their names, in the order of the file.

    `beside` is what the file holds besides them: plain values by dotted path, and of the rest what
    kind it is. `odd_keys` are keys that are neither text nor number and lead to tensors.
    """

    names: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    beside: dict[str, object] = field(default_factory=dict)
    odd_keys: int = 0


def find(value: object) -> StateDict:
    """Find the state dict in what a torch file holds.

    Raises:
        BadStateDictError: it is no table with text keys, or it is nested or repeated beyond all reason.
    """
    holders = _holders(value)
    top = pairs(value)
    if top is None:
        message = f"holds {_called(value)} where a table of named tensors is needed"
        raise BadStateDictError(message)
    wrong = next((key for key, _ in top if type(key) is not str), None)
    if wrong is not None:
        message = f"holds a table with {_called(wrong)} as a key, where names are needed"
        raise BadStateDictError(message)
    kept, rest = _parted(top, holders)
    found = StateDict(beside=dict(_notes(rest)))
    return _named(kept, holders, found)


def is_beside(key: str) -> bool:
    """Tell whether training programs keep something else than weights under a key."""
    return _BESIDE.fullmatch(key) is not None


def _parted(
    top: Sequence[tuple[str, Any]], holders: set[int]
) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Part the weights from what a training program keeps beside them.

    Tables under the usual keys are the weights; where there is none, every table with tensors is
    that has not the name of something else. So are single tensors at the top.
    """
    usual = any(id(value) in holders and _WEIGHTS.fullmatch(key) for key, value in top)
    kept: list[tuple[str, Any]] = []
    rest: list[tuple[str, Any]] = []
    for key, value in top:
        if is_tensor(value):
            weight = not (usual and is_beside(key))
        elif usual:
            weight = id(value) in holders and bool(_WEIGHTS.fullmatch(key))
        else:
            weight = id(value) in holders and not is_beside(key)
        (kept if weight else rest).append((key, value))
    return kept, rest


def _holders(value: object) -> set[int]:
    """Return the ids of all containers with a tensor somewhere inside, each looked at once."""
    parents: dict[int, list[int]] = {}
    seen: set[int] = {id(value)}
    holders: list[int] = []
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        following: list[object] = []
        for box in layer:
            for inside in _inside(box):
                if is_tensor(inside):
                    holders.append(id(box))
                elif _is_box(inside):
                    parents.setdefault(id(inside), []).append(id(box))
                    if id(inside) not in seen:
                        seen.add(id(inside))
                        following.append(inside)
        if not following:
            break
        layer = following
    else:
        message = f"nests its values more than {MAX_DEPTH:,} deep, the limit"
        raise BadStateDictError(message)
    found: set[int] = set()
    while holders:
        each = holders.pop()
        if each not in found:
            found.add(each)
            holders += parents.get(each, ())
    return found


def _is_box(value: object) -> bool:
    return type(value) in {list, tuple} or pairs(value) is not None


def _inside(box: object) -> Sequence[object]:
    if type(box) is list or type(box) is tuple:
        return box
    return [value for _, value in pairs(box) or ()]


def _named(kept: Sequence[tuple[str, Any]], holders: set[int], found: StateDict) -> StateDict:
    """Walk the tables that lead to tensors, in order, and write down every tensor's path."""
    text, odd, places = 0, 0, 0
    walks: list[Iterator[tuple[str, Any]]] = [iter(kept)]
    while walks:
        path, value = next(walks[-1], (None, None))
        if path is None:
            walks.pop()
            continue
        places, text = places + 1, text + len(path)
        if places > MAX_PLACES or text > MAX_TEXT or len(walks) > MAX_DEPTH:
            message = (
                f"repeats its tables: more than {MAX_PLACES:,} tensors or {MAX_TEXT:,} characters of names"
            )
            raise BadStateDictError(message)
        if is_tensor(value):
            found.names.append(path)
            found.calls.append(value)
        elif id(value) in holders:
            below = list(_below(path, value, holders))
            odd += sum(name is None for name, _ in below)
            walks.append(iter([(name, each) for name, each in below if name is not None]))
    return StateDict(found.names, found.calls, found.beside, odd)


def _below(path: str, box: object, holders: set[int]) -> Iterator[tuple[str | None, Any]]:
    """Yield what a container holds that leads to tensors, with its path; None for a key of no sensible kind."""
    for key, value in pairs(box) or enumerate(_inside(box)):
        if is_tensor(value) or id(value) in holders:
            yield (f"{path}.{key}" if type(key) in {str, int} else None), value


def _notes(rest: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, object]]:
    """Yield plain values by dotted path, down to three tables deep, and what else there is."""
    waiting = [(key, value, 0) for key, value in reversed(rest)]
    for _ in range(MAX_NOTES):
        if not waiting:
            return
        path, value, depth = waiting.pop()
        table = _attributes(value)
        if type(value) in {bool, int, float, str} or value is None:
            yield path, value
        elif table is not None and depth < 3:
            inner = [(key, each) for key, each in table if type(key) is str]
            waiting += [(f"{path}.{key}", each, depth + 1) for key, each in reversed(inner[:MAX_NOTES])]
        else:
            yield path, _called(value)


def _attributes(value: object) -> Sequence[tuple[Any, Any]] | None:
    """Return the pairs of a table, or the attributes of an object such as argparse.Namespace."""
    return pairs(value.state) if type(value) is Call and value.state is not None else pairs(value)


def _called(value: object) -> str:
    """Name what a value is, with its article."""
    if type(value) is Call:
        if is_tensor(value):
            return "a tensor"
        return f"a {printable(value.name, limit=80)}" if value.name else "an unknown object"
    if type(value) is Global:
        return f"the global {printable(value.name, limit=80)}"
    words = {list: "a list", tuple: "a tuple", int: "a number", float: "a number", str: "a text"}
    return "a table" if pairs(value) is not None else words.get(type(value), "no value of sense")
