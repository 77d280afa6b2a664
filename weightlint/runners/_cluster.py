"""A Ray cluster for the time of one run: connected, with our own code on its machines, and left as it was found."""

from __future__ import annotations

import logging
import os
import re
import socket
import warnings
from collections import Counter
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import weightlint
from weightlint.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0
"""Seconds in which the door of a cluster must open; Ray itself would knock for minutes."""

_DOOR = re.compile(r"(?:ray://)?\[?([^\[\]/]+?)\]?(?::(\d{1,5}))?/?")
_CLIENT = 10001
"""Port of a `ray://` address that names none."""


@contextmanager
def cluster(address: str | None) -> Iterator[Any]:
    """Return the module `ray`, connected; a connection of the program's own is used and stays.

    The machines get the folder of this package, so that they run the same version. Raises:
        UsageError: there is no Ray, or no cluster at this address.
    """
    ray = _module()
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or None
    _knock(address)
    logging.getLogger("ray").setLevel(logging.ERROR)
    # a checker sends nobody word of itself
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        with warnings.catch_warnings():
            # what Ray announces for its next versions is not for users of weightlint
            warnings.simplefilter("ignore")
            ray.init(address=address, **_manners())
    except (OSError, RuntimeError, ValueError) as error:
        why = str(error).partition("\n")[0].rstrip(". ")
        message = (
            f"{_called(address)}: {why}; give the address of a running cluster (one with tokens wants "
            "RAY_AUTH_MODE=token), or --runner threads"
        )
        raise UsageError(message) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _module() -> Any:
    try:
        return import_module("ray")
    except ImportError as error:
        message = f"--runner ray cannot work without Ray ({error}): pip install 'weightlint[ray]'"
        raise UsageError(message) from error


def _manners() -> dict[str, Any]:
    return {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {
            "py_modules": [str(Path(weightlint.__file__).parent)],
            "excludes": ["**/__pycache__"],
        },
    }


def _called(address: str | None) -> str:
    return f"Ray at {address}" if address else "Ray"


def _knock(address: str | None) -> None:
    """Refuse an address at which nobody listens."""
    door = _DOOR.fullmatch(address or "auto")
    if address in {None, "auto", "local"} or door is None or not (door[2] or str(address).startswith("ray:")):
        return
    try:
        socket.create_connection((door[1], int(door[2] or _CLIENT)), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        message = (
            f"{_called(address)}: nobody answers there ({why}); give the address of a running cluster: "
            "`ray status` on its head node shows whether it is"
        )
        raise UsageError(message) from error


def names(ray: Any) -> dict[str, str]:
    """Return the names of the machines that are alive, by id; the same name twice is told apart by the id."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    called = {node["NodeID"]: node.get("NodeName") or node["NodeManagerAddress"] for node in alive}
    times = Counter(called.values())
    return {key: name if times[name] == 1 else f"{name} ({key[:6]})" for key, name in called.items()}


def cores(ray: Any) -> dict[str, int]:
    """Return how many CPUs each machine offers, by id."""
    return {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
