"""A heat map drawn by matplotlib, without a display.

Names come from the checkpoint: they are escaped, and never taken for formulas, as matplotlib takes what stands
between dollar signs.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from itertools import groupby
from typing import TYPE_CHECKING, Any

from weightlint.finding import Level, counted, printable
from weightlint.heat import LEGEND, STRENGTHS, shade

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from weightlint.finding import Report
    from weightlint.heat import Cell, Heat

LOW, MIDDLE, HIGH = (0.0, 0.447, 0.698), (0.925, 0.933, 0.941), (0.835, 0.369, 0.0)
"""Blue, grey and vermilion, which every kind of colour blindness tells apart."""

WHITE = (1.0, 1.0, 1.0)
INK, DIM, RULE = "#1b1f24", "#5b6470", "#c3c8ce"
DPI = 150
COLUMN, LINE, ALL_COLUMNS = 0.22, 0.19, 11.0
"""Inches of a layer at most, of a family, and of all layers."""

TOP, BOTTOM, RIGHT, LEAST = 0.95, 0.95, 0.25, 9.0
"""Inches above, below and beside the map, and of the picture at least."""

LETTER, MAX_LETTERS = 0.062, 60
"""Inches of a letter of a family, and letters that are shown of it."""

MAX_CODES = 500
"""Codes that are written; more would be no picture, and take minutes."""

Box = tuple[int, int, int]
"""A run of cells: its first column, its line, its length."""


def picture(drawn: Heat, report: Report, kind: str) -> bytes:
    """Return a picture as a file of the kind `png`, `svg` or `pdf`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    lines = [*_lines(drawn)]
    column = min(COLUMN, ALL_COLUMNS / len(drawn.layers))
    left = 0.3 + LETTER * max(len(text) for text, _ in lines)
    across, down = column * len(drawn.layers), LINE * len(lines)
    width, height = max(left + across + RIGHT, LEAST), TOP + down + BOTTOM
    with rc_context({"hatch.linewidth": 0.4, "svg.hashsalt": "weightlint"}), warnings.catch_warnings():
        # a letter that the font does not have is drawn as a box
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
        axes = figure.add_axes((left / width, BOTTOM / height, across / width, down / height))
        _cells(axes, [cells for _, cells in lines], column)
        _frame(axes, drawn, [text for text, _ in lines], column)
        _words(figure, report, drawn.cut, width, height)
        _key(figure, width, height)
        return _written(figure, kind)


def _lines(drawn: Heat) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    """Yield what stands on each line: the head of a group without cells, or a family with its cells."""
    names = [printable(row.name, limit=MAX_LETTERS) for row in drawn.rows]
    wide, dtypes = max(map(len, names)), max(len(row.dtype) for row in drawn.rows)
    left = iter(names)
    for prefix, rows in drawn.groups:
        yield printable(prefix, limit=MAX_LETTERS).ljust(wide + 2 + dtypes), ()
        for row in rows:
            yield f"{next(left):<{wide}}  {row.dtype:<{dtypes}}", row.cells


def _cells(axes: Axes, lines: list[tuple[Cell, ...]], column: float) -> None:
    """Draw all cells as one image, and on top of it what is missing or marked."""
    columns = max(map(len, lines))
    image = [
        [_colour(shade(cell.level)) if cell.there else WHITE for cell in cells] or [WHITE] * columns
        for cells in lines
    ]
    axes.imshow(image, aspect="auto", interpolation="nearest")
    _boxes(axes, _gaps(lines), hatch="/////", edgecolor=RULE, linewidth=0)
    for y in range(1, len(lines)):
        axes.axhline(y - 0.5, color="white", linewidth=0.8)
    if column > COLUMN / 3:
        for x in range(1, columns):
            axes.axvline(x - 0.5, color="white", linewidth=0.8)
    _marks(axes, lines, column)


def _gaps(lines: list[tuple[Cell, ...]]) -> Iterator[Box]:
    """Yield the runs of layers that have none of a family."""
    for y, cells in enumerate(lines):
        x = 0
        for there, run in groupby(cells, key=lambda cell: cell.there):
            width = len([*run])
            if not there:
                yield x, y, width
            x += width


def _marks(axes: Axes, lines: list[tuple[Cell, ...]], column: float) -> None:
    """Write the codes of findings into their cells, where there is room, and arrows where it is far from what is usual."""
    size = min(5.0, 30 * column)
    look: dict[str, Any] = {"size": size, "ha": "center", "va": "center", "weight": "bold", "zorder": 5}
    cells = [(x, y, cell) for y, line in enumerate(lines) for x, cell in enumerate(line)]
    found = [(x, y, cell) for x, y, cell in cells if cell.codes]
    _boxes(axes, ((x, y, 1) for x, y, _ in found), edgecolor=INK, linewidth=1.4, zorder=4)
    for x, y, cell in found[:MAX_CODES]:
        text = cell.codes[0].removeprefix("WL") if column > COLUMN / 2 else "!"
        axes.text(x, y, text, color="white" if cell.far else INK, **look)
    for marker, sign in (("^", 1), ("v", -1)):
        far = [(x, y) for x, y, cell in cells if cell.far and not cell.codes and cell.level * sign > 0]
        xs, ys = [x for x, _ in far], [y for _, y in far]
        axes.scatter(xs, ys, s=size**2 / 2, c="white", marker=marker, zorder=5)


def _boxes(axes: Axes, boxes: Iterable[Box], **look: Any) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    patches = [Rectangle((x - 0.5, y - 0.5), width, 1) for x, y, width in boxes]
    axes.add_collection(PatchCollection(patches, facecolor="none", **look))


def _colour(step: int) -> tuple[float, ...]:
    strength, end = STRENGTHS[abs(step)], HIGH if step > 0 else LOW
    return tuple(strength * far + (1 - strength) * near for far, near in zip(end, MIDDLE, strict=True))


def _frame(axes: Axes, drawn: Heat, names: list[str], column: float) -> None:
    """Write the names of the families and the numbers of the layers."""
    labelled = drawn.labelled(LETTER * (len(str(max(drawn.layers))) + 0.5) / column)
    places = [at for at, layer in enumerate(drawn.layers) if layer in labelled]
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, pad=3)
    axes.set_xticks(places, [str(drawn.layers[at]) for at in places], size=6.5)
    axes.set_yticks(range(len(names)), names, size=7, family="monospace")
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    for at, label in zip(places, axes.get_xticklabels(), strict=True):
        if any(row.cells[at].codes for row in drawn.rows):
            label.set(weight="bold", color="white", bbox={"facecolor": INK, "pad": 1, "linewidth": 0})
    axes.spines[:].set_visible(False)


def _words(figure: Figure, report: Report, cut: str, width: float, height: float) -> None:
    levels = (Level.ERROR, Level.WARNING, Level.INFO)
    told = [counted(count, str(level)) for level in levels if (count := report.count(level))]
    target = printable(report.facts.target, limit=int(width * 9))
    top = 1 - 0.12 / height
    figure.text(0.15 / width, top, target, size=11, weight="bold", color=INK, va="top", parse_math=False)
    below = "; ".join(
        filter(None, (", ".join(told) or "no findings", "RMS and absmax, families by layers", cut))
    )
    figure.text(0.15 / width, top - 0.24 / height, below, size=8, color=DIM, va="top")
    legend = "\n".join(textwrap.wrap(LEGEND, int(width * 15)))
    figure.text(0.15 / width, 0.1 / height, legend, size=7, color=DIM, va="bottom", linespacing=1.4)


def _key(figure: Figure, width: float, height: float) -> None:
    """Draw the scale of the colours."""
    last = len(STRENGTHS) - 1
    steps = range(-last, last + 1)
    axes = figure.add_axes((0.85 / width, 0.62 / height, 0.16 * len(steps) / width, 0.14 / height))
    axes.imshow([[_colour(step) for step in steps]], aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    look: dict[str, Any] = {"size": 7, "color": DIM, "va": "center"}
    axes.text(-0.9, 0, "far below", ha="right", **look)
    about = (
        "far above what is usual;   framed: a finding, by the number of its code;   hatched: no such tensor"
    )
    axes.text(last * 2 + 0.9, 0, about, ha="left", **look)


def _written(figure: Figure, kind: str) -> bytes:
    out = io.BytesIO()
    when = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    figure.savefig(out, format=kind, metadata=when)
    return out.getvalue()
