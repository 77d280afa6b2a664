"""Web servers: https:// and http://, a file or a folder of files.

HTTP lists no folder: what loaders ask for is asked for by name, and an index names the shards. A page of
huggingface.co is read as hf://. Passwords come from the address, fsspec's settings for https, or ~/.netrc.
"""

from __future__ import annotations

import base64
import errno
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from weightlint import weight_map
from weightlint.config_spelling import SPELLINGS
from weightlint.errors import NothingFoundError
from weightlint.format import FORMATS, Bundle, suffixes
from weightlint.gguf.parts import part, part_name
from weightlint.remote.address import Address, escaped, is_sound, shown
from weightlint.remote.client import Part
from weightlint.remote.hub_address import page
from weightlint.remote.site import Entry, Listing, listed
from weightlint.remote.store import RemoteStore
from weightlint.series import MAX_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weightlint.store import Opener, Store

Answer = Part | OSError
"""What came of asking for the first bytes of a file."""

WEIGHTS = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "consolidated.safetensors",
    "adapter_config.json",
    "adapter_model.safetensors",
    "SHA256SUMS",
)
"""Names that a folder is asked for, beside those of configs."""


@dataclass(frozen=True, slots=True)
class Web:
    """A folder of a server. `query` goes with every request, `headers` to this server alone; `found` is by path."""

    root: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    found: Mapping[str, Entry] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Return the address of the folder."""
        return shown(self.root)

    @property
    def origin(self) -> str:
        """Return what says the hashes: servers say none."""
        return "the server"

    @property
    def commit(self) -> str | None:
        """Return None: a server has no revisions."""
        return None

    def list(self, folder: str) -> Listing:
        """List what was found by name."""
        return listed(self.found, folder)

    def address(self, path: str) -> Address:
        """Return where a file is asked for."""
        query = f"?{self.query}" if self.query else ""
        return Address(f"{self.root}/{quote(path, errors='surrogateescape')}{query}", self.headers)

    def denied(self, path: str, error: PermissionError) -> Exception:
        """Return the error as it is: other files may be open to us."""
        del path
        return error


@dataclass(frozen=True, slots=True)
class Servers:
    """What opens https:// and http://."""

    schemes: tuple[str, ...] = ("https", "http")

    def open(self, target: str) -> tuple[Store, str]:
        """Return the folder with what was found in it, and the name of the file where the target is one."""
        if not is_sound(target) or not urlsplit(target).hostname:
            raise OSError(errno.EINVAL, "is no address: it names no server")
        repository = page(target)
        if repository is not None:
            from weightlint.stores.hub import STORE as HUB

            return HUB.open(str(repository))
        site, name = _site(target)
        return (_folder(site), "") if not name else (_beside(site, name), name)


def _site(target: str) -> tuple[Web, str]:
    """Take an address apart: the folder, and the name of the file if it ends like one."""
    parts = urlsplit(target)
    secret, _, host = parts.netloc.rpartition("@")
    folder, _, last = parts.path.rstrip("/").rpartition("/")
    name = unquote(last, errors="surrogateescape")
    endings = (
        *suffixes(),
        *(end for it in FORMATS.values() if isinstance(it, Bundle) for end in it.suffixes),
    )
    if not name.endswith(endings):
        folder, name = parts.path.rstrip("/"), ""
    root = urlunsplit((parts.scheme.lower(), host, escaped(folder), "", ""))
    return Web(root, escaped(parts.query), _secrets(parts.hostname or "", unquote(secret))), name


def _secrets(host: str, given: str) -> dict[str, str]:
    """Return the headers that a server asks for: from the address, fsspec's settings or ~/.netrc."""
    from fsspec.config import conf

    settings = conf.get("https", {}).get("client_kwargs", {})
    headers = {str(key): str(value) for key, value in settings.get("headers", {}).items()}
    login = given or _netrc(host)
    if login and "authorization" not in {key.lower() for key in headers}:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    return headers


def _netrc(host: str) -> str:
    from netrc import NetrcParseError, netrc

    try:
        found = netrc().authenticators(host)
    except (OSError, NetrcParseError):
        return ""
    return f"{found[0]}:{found[2]}" if found else ""


def _configs() -> list[str]:
    named = (name for spelling in SPELLINGS.values() for name in spelling.files)
    return list(dict.fromkeys(("config.json", *(name for name in named if "*" not in name))))


def _folder(site: Web) -> RemoteStore:
    """Ask a folder for all names that a checkpoint may have."""
    names = [*_configs(), *WEIGHTS]
    store, answers = _asked(site, names)
    there = store.names()
    lost = next((it for it in answers.values() if isinstance(it, ConnectionError)), None)
    if lost is not None and not any(isinstance(it, Part) for it in answers.values()):
        raise lost
    if not there:
        message = (
            f"{site.name}: none of {', '.join(names)} is there, and a web server lists no folder: "
            "give the address of a file"
        )
        raise NothingFoundError(message)
    return _with_shards(store, site, list(filter(weight_map.is_index, there)))


def _beside(site: Web, name: str) -> RemoteStore:
    """Ask for one file, for the config beside it, and for what belongs to it by name."""
    own = part(name)
    whole = own is not None and own.exact and 0 < own.at <= own.of <= MAX_FILES
    parts = [part_name(own.base, at, own.of) for at in range(1, own.of + 1)] if own and whole else [name]
    store, answers = _asked(site, [*parts, *_configs()], surely=name)
    answer = answers[name]
    if isinstance(answer, OSError):
        raise answer
    return _with_shards(store, site, [name] if weight_map.is_index(name) else [])


def _asked(site: Web, names: Iterable[str], surely: str = "") -> tuple[RemoteStore, Mapping[str, Answer]]:
    """Ask for files by name; the store has those that may be there, and `surely` whatever the answer."""
    store = RemoteStore(replace(site, found=dict.fromkeys(names, Entry())))
    answers = store.heads([*dict.fromkeys(names)])
    store.relist(
        replace(
            site, found={name: _entry(it) for name, it in answers.items() if name == surely or _is_there(it)}
        )
    )
    return store, answers


def _with_shards(store: RemoteStore, site: Web, indexes: Iterable[str]) -> RemoteStore:
    """Add the files that these indexes name, as far as they are there."""
    named: dict[str, None] = {}
    for name in indexes:
        with store.open(name) as blob:
            found = weight_map.read(blob, name).map
        if found:
            named |= dict.fromkeys(found.entries.values())
            store.expect(weight_map.headers(found.entries))
    known = {path: store.entry(path) or Entry() for path in store.names()}
    store.relist(replace(site, found={**dict.fromkeys(named, Entry()), **known}))
    answers = store.heads([path for path in named if path not in known])
    there = {path: _entry(it) for path, it in answers.items() if not isinstance(it, FileNotFoundError)}
    store.relist(replace(site, found={**there, **known}))
    return store


def _is_there(answer: Answer) -> bool:
    """Tell whether a file that was asked for by its usual name may be there; many servers answer all with a page."""
    if isinstance(answer, OSError):
        return isinstance(answer, ConnectionError)
    return not answer.data.lstrip().startswith(b"<")


def _entry(answer: Answer) -> Entry:
    return Entry() if isinstance(answer, OSError) else Entry(answer.total, answer.tag)


STORE: Opener = Servers()
