"""`weightlint merge`: the parts of a verification as one report."""

from __future__ import annotations

from typing import Any

import click

from weightlint.cli._choices import complete_format, complete_rule


@click.command("merge", short_help="Put the parts of a verification together.")
@click.argument("parts", metavar="PART...", nargs=-1, required=True)
@click.option("--target", metavar="PATH", help="Where the checkpoint is, if not where the parts say.")
@click.option(
    "--dtype", metavar="NAME", help="The dtype it will run in: float16 asks whether weights overflow."
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT[=FILE]",
    shell_complete=complete_format,
    help="Output format, text if none is given: see `weightlint list outputs`.",
)
@click.option("--output", metavar="FILE", help="File of the last format; standard output if none.")
@click.option(
    "--select", multiple=True, metavar="RULE,...", shell_complete=complete_rule, help="Run these rules only."
)
@click.option(
    "--ignore", multiple=True, metavar="RULE,...", shell_complete=complete_rule, help="Leave these rules out."
)
@click.option(
    "--fail-on",
    type=click.Choice(("info", "warning", "error")),
    default="error",
    help="Lowest level that gives exit code 1; error if none is given.",
)
def merge(parts: tuple[str, ...], **given: Any) -> int:
    """Put the results of `weightlint verify --part I/N` together and report as one run would.

    Run it where the checkpoint is: its headers are read again. Exit codes are those of `verify`: 3 where a part is missing.
    """
    from weightlint import api
    from weightlint.cli._choices import selectors
    from weightlint.cli._reports import destinations, write
    from weightlint.finding import Level

    places = destinations(given["formats"] or ("text",), given["output"])
    report = api.merge(
        parts,
        target=given["target"],
        select=selectors(given["select"]),
        ignore=selectors(given["ignore"]),
        dtype=given["dtype"],
    )
    write(report, places)
    return report.exit_code(Level[given["fail_on"].upper()])


COMMAND = merge
