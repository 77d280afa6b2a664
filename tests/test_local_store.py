"""The local folder: what is opened, what is refused, and how."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from weightlint.stores.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

HASH = "a" * 64


def test_reads_stop_at_the_end_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    with LocalStore(tmp_path).open("a") as blob:
        assert blob.size == 10
        assert blob.read(2, 5) == b"234"
        assert blob.read(8, 1 << 60) == b"89"
        assert blob.read(20, 30) == b""


def test_the_descriptor_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None  # noqa: PTH112, PTH208
    with LocalStore(tmp_path).open("a"):
        pass
    with pytest.raises(OSError, match="folder"), LocalStore(tmp_path).open("."):
        pass
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for name, why in {
        "fifo": "named pipe",
        "folder": "folder",
        "zero": "device",
        "loop": "symbolic links",
    }.items():
        with pytest.raises(OSError, match=why), store.open(name):
            pass


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(OSError), LocalStore(tmp_path).open("s"):  # noqa: PT011 -- the text is the system's
            pass


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000])
def test_names_that_cannot_be_are_an_oserror(tmp_path: Path, name: str) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(OSError), store.open(name):  # noqa: PT011 -- the text is the system's
        pass
    assert store.link(name) is None


def test_names_lists_what_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    (tmp_path / "a").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c").touch()
    store = LocalStore(tmp_path)
    assert store.names() == ["a", "b", "loop"]
    assert store.names("sub") == ["c"]
    assert store.names("absent") == []


def test_a_name_that_is_not_utf8_does_not_stop_the_listing(tmp_path: Path) -> None:
    try:
        with open(os.fsencode(tmp_path) + b"/\xff.safetensors", "wb") as file:  # noqa: PTH123
            file.write(b"12")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    store = LocalStore(tmp_path)
    (name,) = store.names()
    with store.open(name) as blob:
        assert blob.size == 2


def test_only_links_that_leave_the_folder_are_told(tmp_path: Path) -> None:
    root = tmp_path / "snapshots" / "rev"
    root.mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / HASH).touch()
    (tmp_path / "elsewhere").touch()
    (root / "real").touch()
    (root / "cached").symlink_to(f"../../blobs/{HASH}")
    (root / "inside").symlink_to("real")
    (root / "outside").symlink_to("../../elsewhere")
    store = LocalStore(root)
    assert {name: store.link(name) for name in store.names()} == {
        "cached": None,
        "inside": None,
        "outside": os.path.realpath(tmp_path / "elsewhere"),
        "real": None,
    }


def test_a_folder_that_is_itself_a_link_has_no_outside(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").touch()
    (tmp_path / "real" / "b").symlink_to("a")
    (tmp_path / "alias").symlink_to("real")
    assert LocalStore(tmp_path / "alias").link("b") is None
