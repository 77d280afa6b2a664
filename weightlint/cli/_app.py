"""The command `weightlint` itself: imports a command on use, and turns every end into an exit code.

0, 1, 3   what the command answers: clean, findings, nothing checked
2         wrong usage, or weightlint itself failed: one line on stderr
130, 141  Ctrl-C, or the reader of a pipe has gone
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click

from weightlint import __version__
from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = 2
INTERRUPTED = 130
CLOSED_PIPE = 141

EPILOG = """\b
Exit codes: 0 clean, 1 findings, 2 usage or internal error, 3 nothing checked.
With WEIGHTLINT_DEBUG=1 an internal error shows its traceback."""

COMMANDS: Drawer[click.Command] = Drawer("cli", "COMMAND")


class App(click.Group):
    """A group whose commands are the files of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None if there is none of this name."""
        del ctx
        return COMMANDS[cmd_name] if cmd_name in [*COMMANDS] else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line, or name the nearest ones."""
        name = args[0]
        if name not in [*COMMANDS] and not name.startswith("-"):
            from weightlint.errors import nearest

            ctx.fail(f"no command {name!r}{nearest(name, COMMANDS)}")
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run a command line and leave with its exit code."""
        extra["standalone_mode"] = False
        sys.exit(_guarded(partial(super().main, *args, **extra)))


@click.group("weightlint", cls=App, epilog=EPILOG)
@click.version_option(__version__, prog_name="weightlint", message="%(prog)s %(version)s")
def app() -> None:
    """Tell whether a checkpoint will load, before a byte of its weights is moved."""


def main() -> NoReturn:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        # A locale that cannot spell a name must not end the run; StringIO has no such method.
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    app.main(prog_name="weightlint")


def _guarded(run: Callable[[], object]) -> int:
    code = _ended(run)
    try:
        # Buffered text meets a closed pipe or a full disk only here.
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        code = _failed(error)
        _drop_stdout()
    return code


def _ended(run: Callable[[], object]) -> int:
    stdout = sys.stdout
    try:
        answer = run()
    except SystemExit as stop:
        # click ends a closed pipe with 1, which here means findings, and replaces the stream.
        if sys.stdout is not stdout:
            sys.stdout = stdout
            return CLOSED_PIPE
        return stop.code if isinstance(stop.code, int) else FAILED
    except (click.Abort, KeyboardInterrupt):
        click.echo("weightlint: interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return FAILED
    except Exception as error:  # noqa: BLE001 - a traceback on the terminal is a bug by itself
        return _failed(error)
    return answer if isinstance(answer, int) else 0


def _failed(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        return CLOSED_PIPE
    if os.environ.get("WEIGHTLINT_DEBUG"):
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(f"weightlint: {_explained(error)}", err=True)
    code = getattr(error, "exit_code", FAILED)
    return code if isinstance(code, int) else FAILED


def _explained(error: Exception) -> str:
    from weightlint.errors import WeightlintError
    from weightlint.finding import printable

    if isinstance(error, WeightlintError):
        return printable(str(error), limit=4000)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return printable(f"{where}{error.strerror}", limit=4000)
    hint = "WEIGHTLINT_DEBUG=1 shows the traceback"
    return f"internal error: {printable(f'{type(error).__name__}: {error}')} ({hint})"


def _drop_stdout() -> None:
    """Point standard output at nothing, so that the last flush of the interpreter cannot fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
