"""Pictures of a profile: they are what they are called, and what cannot be drawn is told before anything is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from test_html import finding, profile, report
from test_verify import NAMED, layers, write

from weightlint import api
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.profile import Profile
from weightlint.verifying.picture import COLUMN, DPI, HIGH, LINE
from weightlint.verifying.plot import check_path, plot

if TYPE_CHECKING:
    from pathlib import Path

matplotlib = pytest.importorskip("matplotlib", reason="draws the pictures")


def size(png: bytes) -> tuple[int, int]:
    """Return width and height in pixels, which stand behind the signature and the name of the first chunk."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[12:16] == b"IHDR"
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


@pytest.mark.parametrize(("depth", "families"), [(1, 1), (12, 3), (61, 30), (200, 8)])
def test_a_png_fits_a_screen(tmp_path: Path, depth: int, families: int) -> None:
    path = tmp_path / "out.png"
    plot(report(finding(), drawn=profile(depth, families)), str(path))
    width, height = size(path.read_bytes())
    assert 1000 < width < 3000
    assert 300 < height < 2000


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")]
)
def test_the_suffix_is_the_kind(tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = tmp_path / f"out{suffix}"
    plot(report(drawn=profile()), str(path))
    assert path.read_bytes().startswith(magic)


def strongest(path: Path, drawn: Profile) -> int:
    """Return how many pixels have the last shade above what is usual, those of the key among them."""
    from matplotlib.image import imread

    plot(report(drawn=drawn), str(path))
    shade = [round(255 * part) for part in HIGH]
    pixels = (imread(path)[:, :, :3] * 255).round().astype(int)
    return int((abs(pixels - shade) <= 1).all(axis=2).sum())


def test_the_bad_layer_has_the_strongest_colour(tmp_path: Path) -> None:
    """The profile has one cell that is 64 times what is usual; the rest is even."""
    bad = profile()
    even = Profile(bad.layers, bad.lines[1:] * 2)
    cell = DPI**2 * COLUMN * LINE
    more = strongest(tmp_path / "bad.png", bad) - strongest(tmp_path / "even.png", even)
    assert 0.4 * cell < more < cell


def test_a_finding_is_written_into_its_cell(tmp_path: Path) -> None:
    path = tmp_path / "out.svg"
    plot(report(drawn=profile()), str(path))
    assert path.read_text().count("<!-- 701 -->") == 1


def test_names_are_no_formulas(tmp_path: Path) -> None:
    """Text between dollar signs is TeX to matplotlib, and broken TeX an error."""
    path = tmp_path / "out.svg"
    plot(report(target="$\\frac{$", drawn=profile(name="$\\frac{$\u202e\u6f22<script>")), str(path))
    text = path.read_text()
    assert "$\\frac{$" in text
    assert "<script" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("name", ["out.jpg", "out", "out.png.exe", ".png"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(".png, .svg, .pdf")):
        check_path(str(tmp_path / name))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        check_path(str(tmp_path / "nowhere" / "out.png"))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        check_path(str(tmp_path / "folder.png"))


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weightlint.verifying.plot.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=re.escape("pip install 'weightlint[plot]'")):
        check_path(str(tmp_path / "out.png"))


@pytest.mark.parametrize("drawn", [None, Profile((), ())])
def test_a_report_without_layers_has_no_picture(tmp_path: Path, drawn: Profile | None) -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        plot(report(drawn=drawn), str(tmp_path / "out.png"))
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--plot", "out.jpg"], ".png, .svg, .pdf"),
        (["--plot", "nowhere/out.png"], "cannot be written"),
        (["--plot", "out.png", "--no-values"], "--no-values"),
        (["--plot", "out.png", "--part", "1/2", "--output", "part.json"], "merge"),
    ],
)
def test_nothing_is_read_for_a_picture_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "verify", lambda *_, **__: pytest.fail("read"))
    monkeypatch.setattr(api, "verify_part", lambda *_, **__: pytest.fail("read"))
    done = CliRunner().invoke(app, ["verify", "model", *options])
    assert isinstance(done.exception, UsageError) or done.exit_code == 2
    assert told in (str(done.exception) + done.output)


def test_verify_draws_what_it_read(tmp_path: Path) -> None:
    tensors = layers(12)
    tensors[NAMED][1][0, 0] = 0x7FC0
    write(tmp_path / "m.safetensors", tensors)
    out = tmp_path / "out.svg"
    done = CliRunner().invoke(app, ["verify", str(tmp_path), "--quiet", "--plot", str(out)])
    assert done.exit_code == 1
    text = out.read_text()
    assert "<!-- 701 -->" in text
    assert "1 error" in text
