"""The heat map of a profile as tables of HTML: the map, its key, the cells that are worth a look, what is beside it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from weightlint.heat import LEGEND, STRENGTHS, heat, number, shade, times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.deviation import Reading
    from weightlint.heat import Cell, Heat, Row
    from weightlint.profile import Profile

WIDE, WIDEST, NARROWEST = 960, 24, 5
"""Pixels for all layers together, and for one at most and at least."""

ROOM, DIGIT = 14, 7
"""Pixels that a code needs, and a digit of a layer's number."""

ENOUGH = 3
"""Layers from which on one can be told from the others."""

MAX_SPOTS = 20
"""Cells that are told of in words."""


def lines(profile: Profile) -> Iterator[str]:
    """Yield the section of a profile, without one where nothing was measured."""
    drawn = heat(profile)
    if drawn.rows:
        yield "<section><h2>Layers</h2>"
        yield from _map(drawn)
        yield from _key()
        yield f"<p class=dim>{LEGEND}</p>"
        if drawn.cut:
            yield f"<p>{drawn.cut}: --format json has them.</p>"
        yield from _spots(drawn)
        yield "</section>"
    if drawn.beside:
        yield "<section><h2>Beside the layers</h2>"
        yield from _beside(drawn.beside)
        yield "</section>"


def _map(drawn: Heat) -> Iterator[str]:
    width = max(NARROWEST, min(WIDEST, WIDE // len(drawn.layers)))
    narrow = " narrow" if width < ROOM else ""
    yield f'<div class=scroll tabindex=0><table class="map{narrow}" style="--n: {len(drawn.layers)}; --w: {width}px" aria-label="families by layers">'
    yield "<thead><tr><th scope=col>family</th><th scope=col class=dtype>dtype</th>"
    labelled = drawn.labelled(DIGIT * len(str(max(drawn.layers))) / width)
    for at, layer in enumerate(drawn.layers):
        found = " found" if any(row.cells[at].codes for row in drawn.rows) else ""
        told = " told" if layer in labelled else ""
        yield f'<th scope=col class="layer{found}{told}" data-layer="{layer}">{layer}</th>'
    yield "</tr></thead>"
    for prefix, rows in drawn.groups:
        yield f'<tbody><tr><th scope=rowgroup class=group colspan="2">{escape(prefix)}</th></tr>'
        for row in rows:
            yield from _row(row, drawn.layers)
        yield "</tbody>"
    yield "</table></div>"


def _row(row: Row, layers: Sequence[int]) -> Iterator[str]:
    name = escape(row.name)
    yield f'<tr><th scope=row title="{name}">{name}</th><td class=dtype>{escape(row.dtype)}</td>'
    for layer, cell in zip(layers, row.cells, strict=True):
        title = escape(f"layer {layer}, {row.name} {row.dtype}: {cell.words}")
        code = f' data-code="{escape(_short(cell.codes))}"' if cell.codes else ""
        yield f'<td class="cell {_classes(cell)}"{code} title="{title}">{_text(cell)}</td>'
    yield "</tr>"


def _classes(cell: Cell) -> str:
    if not cell.there:
        return "none"
    step = shade(cell.level)
    out = [f"{'high' if step > 0 else 'low'}{abs(step)}"] if step else []
    if cell.far:
        out += ["far", "up" if cell.level > 0 else "down"]
    if cell.codes:
        out.append("found")
    return " ".join(out)


def _text(cell: Cell) -> str:
    """Return what a cell holds for those who do not see colours: its codes and how far it is from what is usual."""
    return escape(" ".join((*cell.codes, *(times(it) for it in (cell.rms,) if it and it.usual))))


def _short(codes: Sequence[str]) -> str:
    return codes[0].removeprefix("WL") + ("+" if len(codes) > 1 else "")


def _key() -> Iterator[str]:
    last = len(STRENGTHS) - 1
    swatch = "<i class={side}{at}></i>"
    low = "".join(swatch.format(side="low", at=at) for at in range(last, 0, -1))
    high = "".join(swatch.format(side="high", at=at) for at in range(1, last + 1))
    yield "<div class=key aria-hidden=true>"
    yield f"<span><b>far below</b>{low}<i></i>{high}<b>far above what is usual</b></span>"
    yield '<span><i class="low6 down"></i><i class="high6 up"></i><b>two steps or more</b></span>'
    yield '<span><i class="found"></i><b>a finding, by the number of its code</b></span>'
    yield '<span><i class="none"></i><b>no such tensor</b></span></div>'


def _spots(drawn: Heat) -> Iterator[str]:
    spots = drawn.spots()
    if not spots:
        alone = len(drawn.layers) < ENOUGH
        yield f"<p>{'Too few layers to compare.' if alone else 'No layer is far from the others of its family.'}</p>"
        return
    yield "<h2>Worth a look</h2><div class=scroll><table class=list><thead><tr><th scope=col>layer</th><th scope=col>family</th>"
    yield "<th scope=col>findings</th>"
    yield "<th scope=col class=number>RMS</th><th scope=col class=number>usual</th><th scope=col class=number>absmax</th>"
    yield "<th scope=col class=number>usual</th></tr></thead><tbody>"
    for spot in spots[:MAX_SPOTS]:
        yield f"<tr><td class=number>{spot.layer}</td><th scope=row>{escape(_name(spot.row, drawn))} {escape(spot.row.dtype)}</th>"
        yield f"<td>{escape(' '.join(spot.cell.codes))}</td>{_numbers(spot.cell.rms)}{_numbers(spot.cell.absmax)}</tr>"
    yield "</tbody></table></div>"
    if more := len(spots) - MAX_SPOTS:
        yield f"<p class=dim>and {more:,} more</p>" if more > 0 else ""


def _name(row: Row, drawn: Heat) -> str:
    return row.name if len(drawn.groups) == 1 else row.prefix + row.name


def _numbers(reading: Reading | None) -> str:
    if reading is None:
        return "<td class=number>not finite</td><td></td>"
    return f"<td class=number>{number(reading.value)}</td><td class=number>{number(reading.usual)}</td>"


def _beside(rows: Sequence[Row]) -> Iterator[str]:
    yield "<table class=list><thead><tr><th scope=col>family</th><th scope=col class=dtype>dtype</th>"
    yield "<th scope=col class=number>RMS</th><th scope=col class=number>absmax</th><th scope=col>findings</th></tr></thead><tbody>"
    for row in rows:
        (cell,) = row.cells
        values = (number(it.value) if it else "" for it in (cell.rms, cell.absmax))
        numbers = "".join(f"<td class=number>{value}</td>" for value in values)
        yield f"<tr><th scope=row>{escape(row.name)}</th><td>{escape(row.dtype)}</td>{numbers}"
        yield f"<td>{escape(' '.join(cell.codes))}</td></tr>"
    yield "</tbody></table>"
