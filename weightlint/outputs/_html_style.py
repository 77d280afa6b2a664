"""How a report looks as a page: light and dark, on a screen and on paper, with nothing fetched from anywhere.

Blue and vermilion are told apart by every kind of colour blindness (M. Okabe and K. Ito, Color Universal Design).
"""

from __future__ import annotations

from weightlint.heat import STRENGTHS

PAGE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --dim: #5b6470; --rule: #d5d9de; --mid: #eceef0;
  --low: #0072b2; --high: #d55e00; --on: #fff; --error: #b3261e; --warning: #8a5a00; --info: #0b5c8c; --clean: #1a6e35; }
@media (prefers-color-scheme: dark) { :root { --page: #15181c; --ink: #e8eaed; --dim: #9aa3ad; --rule: #363c44;
  --mid: #262a30; --low: #4db5f5; --high: #ff8f33; --on: #0d0f12; --error: #ff8a80; --warning: #f0b849;
  --info: #7cc4f0; --clean: #7fd49a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 28px 48px; max-width: 1600px; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 22px; } h2 { margin: 34px 0 8px; font-size: 17px; } h3 { margin: 0 0 4px; font-size: 15px; }
p { margin: 4px 0; max-width: 110ch; } .dim, .program { color: var(--dim); font-size: 13px; }
code { font: 13px/1.5 ui-monospace, monospace; }
.verdict { font-weight: 600; } .error { color: var(--error); } .warning { color: var(--warning); }
.info { color: var(--info); } .clean { color: var(--clean); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 6px 0; } dt { color: var(--dim); }
dd { margin: 0; } ul { margin: 4px 0; padding-left: 20px; }
.facts { display: flex; flex-wrap: wrap; gap: 2px 26px; } .facts div { display: flex; gap: 6px; }
article { margin: 12px 0; padding: 10px 14px; border: 1px solid var(--rule); border-left: 5px solid currentColor;
  border-radius: 4px; break-inside: avoid; } article > * { color: var(--ink); } article h3 .level { font-weight: 400; }
article.error .level { color: var(--error); } article.warning .level { color: var(--warning); }
article.info .level { color: var(--info); }
"""

TABLES = """
table { border-collapse: collapse; font-size: 13px; }
.list th, .list td { padding: 3px 14px 3px 0; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
.list thead th { font-weight: 600; white-space: nowrap; } .list tbody th { font: 13px/1.5 ui-monospace, monospace; }
.list .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.scroll { overflow-x: auto; padding-bottom: 8px; }
.map { border-collapse: separate; border-spacing: 1px; font-size: 12px; }
.map th { font-weight: 400; text-align: left; white-space: nowrap; padding-right: 10px; }
.map thead th { vertical-align: bottom; }
.map tbody th { position: sticky; left: 0; z-index: 1; background: var(--page); max-width: 30rem;
  overflow: hidden; text-overflow: ellipsis; font: 12px/1.35 ui-monospace, monospace; }
.map .dtype { background: none; color: var(--dim); font-size: 11px; padding-right: 8px; text-align: left; white-space: nowrap; } .map th.group { padding-top: 8px; color: var(--dim); }
.map thead th.layer { position: relative; height: 20px; padding: 0; min-width: var(--w); max-width: var(--w); font-size: 0; }
.map thead th.told::before { content: attr(data-layer); position: absolute; left: 50%; bottom: 1px; padding: 1px 2px;
  transform: translateX(-50%); font-size: 10px; line-height: 1.2; }
.map thead th.found::before { background: var(--ink); color: var(--page); font-weight: 700; border-radius: 2px; }
.map .cell, .key i { min-width: var(--w); height: 17px; padding: 0; background: var(--mid); color: var(--on);
  text-align: center; font-size: 0; line-height: 17px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.map .none, .key .none { background: repeating-linear-gradient(135deg, transparent 0 3px, var(--rule) 3px 4px); }
.map td.far.up::before, .key .up::before { content: "\\25B2"; font-size: 8px; }
.map td.far.down::before, .key .down::before { content: "\\25BC"; font-size: 8px; }
.map td.found, .key .found { outline: 2px solid var(--ink); outline-offset: -1px; position: relative; z-index: 2; color: var(--ink); }
.map td.found.far { color: var(--on); }
.map td.cell.found::before, .key .found::before { content: attr(data-code); font-size: 8px; font-weight: 700; }
.map.narrow td.cell.found::before { content: "!"; font-size: 10px; } .map.narrow td.far::before { font-size: 5px; }
.map.narrow { border-spacing: 0 1px; }
.key { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 16px; margin: 8px 0; font-size: 12px; --w: 18px; }
.key span { display: inline-flex; align-items: center; gap: 1px; } .key b { font-weight: 400; padding: 0 5px; }
.key i { display: inline-block; width: 18px; font-style: normal; }
@media (max-width: 800px) { body { padding: 14px; } .map tbody th { max-width: 9rem; } .map .dtype { display: none; } }
@media print { @page { size: landscape; margin: 10mm; }
  body { max-width: none; padding: 0; font-size: 11px; } h1 { font-size: 18px; } h2 { margin-top: 16px; font-size: 14px; }
  .dim, .program, .key, .list, dl { font-size: 10px; } .scroll { overflow: visible; } tr { break-inside: avoid; }
  .map { --w: min(6mm, 190mm / var(--n)) !important; border-spacing: 0 1px; } .map th, .map tbody th, .map .dtype { font-size: 8px; }
  code, .list tbody th { font-size: 10px; }
  .map .cell { height: 10px; line-height: 10px; } .map td.cell::before { font-size: 5px !important; }
  .map thead th.layer { font-size: 0; } .map thead th.told::before { font-size: 6px; } }
"""


def style() -> str:
    """Return the style sheet."""
    shades = (
        f".{side}{at} {{ background: color-mix(in oklab, var(--{side}) {strength:.0%}, var(--mid)) !important; }}\n"
        for side in ("low", "high")
        for at, strength in enumerate(STRENGTHS)
        if at
    )
    return f"{PAGE}{TABLES}{''.join(shades)}"
