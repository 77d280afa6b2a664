"""What an import costs: nothing heavy, and nothing that a version number does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from toy import config, toy

import weightlint

HEAVY = ("torch", "numpy", "gguf", "safetensors", "jsonschema", "rich", "fsspec", "ray", "tomllib")


def loaded_after(program: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after a program."""
    show = "import sys; print(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(weightlint.__file__).parents[1],
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("module", ["weightlint", "weightlint.cli"])
def test_import_loads_nothing_heavy(module: str) -> None:
    """Neither the package nor its command line loads a heavy library."""
    loaded = loaded_after(f"import {module}")
    assert module in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize(
    "drawer",
    ["cli", "dialects", "formats", "loaders", "outputs", "plans", "quants", "rules", "runners", "stores"],
)
def test_no_drawer_loads_a_heavy_library(drawer: str) -> None:
    """Importing every file of a drawer is what `list` and completion do."""
    loaded = loaded_after(
        "from importlib import import_module\nfrom weightlint.drawer import Drawer\n"
        f"for name in Drawer('{drawer}', ''): import_module(f'weightlint.{drawer}.{{name}}')"
    )
    assert len([name for name in loaded if name.startswith(f"weightlint.{drawer}.")]) > 0
    assert not loaded & set(HEAVY) - {"tomllib"}


def test_version_loads_only_the_command_line() -> None:
    """`--version` reads no rule, schema or command."""
    run = (
        "from contextlib import suppress\nfrom weightlint.cli import app\n"
        "with suppress(SystemExit):\n    app.main(['--version'])"
    )
    ours = {name for name in loaded_after(run) if name.startswith("weightlint")}
    assert ours == {"weightlint", "weightlint.cli", "weightlint.cli._app", "weightlint.drawer"}


def test_a_check_loads_no_reader_of_what_is_not_there(tmp_path: Path) -> None:
    """A safetensors checkpoint in Hugging Face names pays for no other format, spelling or kind of folder."""
    toy("llama", config("toy_llama")).write(tmp_path / "ckpt")
    loaded = loaded_after(
        f"import weightlint\nassert not weightlint.check({str(tmp_path / 'ckpt')!r}).findings"
    )
    rooms = {name.removeprefix("weightlint.") for name in loaded if name.startswith("weightlint.")}
    others: tuple[str, ...] = (
        "gguf.reader",
        "gguf.tensors",
        "torch_files",
        "pickling",
        "dcp.survey",
        "moving",
    )
    others += (
        "configs",
        "loading",
        "plan_rules",
        "plan_text",
        "loader",
        "gpu",
        "spread",
        "limits",
        "weights",
    )
    assert [name for name in rooms if name.startswith(others)] == []
    assert {name for name in rooms if name.startswith("dialects.")} == {"dialects.hf"}
    assert "adapters.folder" not in rooms


def test_front_door() -> None:
    """The names of the front door are those of their rooms; others are refused."""
    from weightlint import api, finding

    assert weightlint.check is api.check
    assert weightlint.Finding is finding.Finding
    assert weightlint.Level is finding.Level
    assert weightlint.Report is finding.Report
    assert set(weightlint.__all__) <= set(dir(weightlint))
    with pytest.raises(AttributeError, match="has no attribute 'chek'"):
        weightlint.chek  # type: ignore[attr-defined] # noqa: B018


def test_a_check_loads_nothing_that_reads_bytes(tmp_path: Path) -> None:
    place = toy("deepseek_v3", config("toy_deepseek_v3")).write(tmp_path / "ckpt")
    loaded = loaded_after(f"import weightlint\nassert not weightlint.check({str(place)!r}).findings")
    assert not [name for name in loaded if name.startswith(("weightlint.verifying", "weightlint.scanning"))]
    assert not loaded & {"numpy", "xxhash"}
