"""Training folders: which of several saves is the last one, as the file that the trainer keeps says.

Megatron-LM writes latest_checkpointed_iteration.txt and folders iter_0000100 or release; DeepSpeed writes
latest and the folder that it names. Source: Megatron-LM, megatron/training/checkpointing.py; DeepSpeed,
runtime/engine.py (save_checkpoint).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weightlint.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

TRACKERS = ("latest_checkpointed_iteration.txt", "latest")
MAX_TEXT = 200
_SAFE = re.compile(r"[\w-][\w.-]*")
_ITERATION = re.compile(r"iter_\d{1,9}|release")


def last_save(folder: Path) -> Path:
    """Return the folder of the save that a tracker names, or the folder itself where there is none.

    Raises:
        UsageError: the save that it names is not there.
        OSError: the tracker cannot be read.
    """
    tracker = next((each for name in TRACKERS if (each := folder / name).is_file()), None)
    if tracker is None or tracker.stat().st_size > MAX_TEXT:
        return folder
    text = tracker.read_text(errors="replace").strip()
    name = f"iter_{int(text):07d}" if tracker.name == TRACKERS[0] and text.isdecimal() else text
    if not _SAFE.fullmatch(name):
        return folder
    if (folder / name).is_dir():
        return folder / name
    saves = sorted(
        each.name for each in folder.iterdir() if each.is_dir() and _ITERATION.fullmatch(each.name)
    )
    if not saves:
        return folder
    message = (
        f"{tracker} says {text}, and there is no folder {name}; there are {', '.join(saves[:5])}: name one"
    )
    raise UsageError(message)


def rank_root(path: Path) -> Path | None:
    """Return the folder of all ranks where a path is that of one rank's folder or file in it."""
    from weightlint.ranking.folder import is_rank_file, is_rank_folder

    folder = path.parent if path.is_file() else path
    if not is_rank_folder(folder.name):
        return None
    inside = [path] if path.is_file() else folder.iterdir()
    return folder.parent if any(is_rank_file(f"{folder.name}/{each.name}") for each in inside) else None
