"""Settings: which file counts, what it may say, and that the command line wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from weightlint import settings
from weightlint.errors import UsageError
from weightlint.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_nearest_file_upwards_counts(tmp_path: Path) -> None:
    """A pyproject.toml without a table for weightlint is passed by on the way up."""
    here = tmp_path / "project" / "deep" / "deeper"
    here.mkdir(parents=True)
    (tmp_path / "weightlint.toml").write_text('arch = "far"\n')
    (tmp_path / "project" / "pyproject.toml").write_text('[tool.weightlint]\narch = "near"\n')
    (here / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert settings.find(here) == tmp_path / "project" / "pyproject.toml"


def test_own_file_wins_over_pyproject(tmp_path: Path) -> None:
    """In one folder weightlint.toml comes first."""
    (tmp_path / "weightlint.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.weightlint]\n")
    assert settings.find(tmp_path) == tmp_path / "weightlint.toml"


def test_all_keys(tmp_path: Path) -> None:
    """A text is as good as a list of one, and config is relative to the file."""
    file = tmp_path / "weightlint.toml"
    file.write_text(
        'select = ["WL1", "WL2"]\nignore = "WL206"\nfail-on = "warning"\n'
        'format = ["json"]\narch = "llama"\nconfig = "model/config.json"\n'
        'loader = "vllm@0.8.4"\nplan = "tp=8,pp=3"\n'
    )
    assert settings.read(file) == Settings(
        select=("WL1", "WL2"),
        ignore=("WL206",),
        fail_on="warning",
        format=("json",),
        arch="llama",
        config=str(tmp_path / "model" / "config.json"),
        loader="vllm@0.8.4",
        plan="tp=8,pp=3",
        source=file,
    )


def test_command_line_wins() -> None:
    """Only what was given replaces a setting; click gives None and () for what was not."""
    base = Settings(arch="llama", ignore=("WL2",), fail_on="warning")
    given = {"arch": "mixtral", "ignore": (), "fail_on": None, "format": ("json",)}
    assert base.over(given) == Settings(arch="mixtral", ignore=("WL2",), fail_on="warning", format=("json",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('ignroe = "WL2"', "unknown key 'ignroe' (nearest: ignore); known: arch, config,"),
        ("select = 2", "select must be a text or a list of texts, not 2"),
        ("select = [1]", "select must be a text or a list of texts, not [1]"),
        ("arch = []", "arch must be a text, not []"),
        ('fail-on = "fatal"', "fail-on must be one of info, warning, error, not 'fatal'"),
        ("fail-on = [1]", "fail-on must be one of info, warning, error, not [1]"),
        ('format = "json=r.json"', "format names formats; their files belong on the command line"),
        ("arch = ", "not TOML: Invalid value"),
        ("a = " + "[" * 10_000, "not TOML: "),
    ],
)
def test_wrong_settings_name_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    """Whatever is wrong, the message begins with the file."""
    file = tmp_path / "weightlint.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        settings.read(file)
    assert str(caught.value).startswith(f"settings {file}: {said}")


def test_table_must_be_a_table(tmp_path: Path) -> None:
    """`[tool] weightlint = 1` is an error, not an absent table."""
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool]\nweightlint = 1\n")
    with pytest.raises(UsageError, match=r"tool\.weightlint must be a table"):
        settings.find(tmp_path)


def test_a_pyproject_whose_tool_is_no_table_is_passed_by(tmp_path: Path) -> None:
    """What others write wrongly is not for weightlint to judge."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "pyproject.toml").write_text("tool = 1\n")
    (tmp_path / "weightlint.toml").touch()
    assert settings.find(tmp_path / "deep") == tmp_path / "weightlint.toml"


def test_an_empty_list_leaves_the_default(tmp_path: Path) -> None:
    """No format at all would be a check that says nothing."""
    file = tmp_path / "weightlint.toml"
    file.write_text("format = []\n")
    assert settings.read(file).format == ("text",)


def test_absent_file(tmp_path: Path) -> None:
    """A file named by the user has to exist."""
    with pytest.raises(UsageError, match=r"no\.toml: No such file or directory"):
        settings.read(tmp_path / "no.toml")


@pytest.mark.parametrize(
    ("target", "inside"),
    [("ckpt", True), ("ckpt/model.safetensors", True), ("other", False), ("absent", False)],
)
def test_settings_of_a_checkpoint_do_not_count(tmp_path: Path, *, target: str, inside: bool) -> None:
    """A file in the folder that is checked is inside, for the folder and for one of its files."""
    for folder in ("ckpt", "other"):
        (tmp_path / folder).mkdir()
    file = tmp_path / "ckpt" / "weightlint.toml"
    file.touch()
    (tmp_path / "ckpt" / "model.safetensors").touch()
    assert settings.inside(file, str(tmp_path / target)) is inside
