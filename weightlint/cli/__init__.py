"""The command line: parse, call the API, write, exit. One file is one command.

Files whose names begin with `_` are shared by the commands. Nothing here knows checkpoints.
"""

from __future__ import annotations

from weightlint.cli._app import app, main

__all__ = ("app", "main")
