"""Run the command line as `python -m weightlint`."""

from __future__ import annotations

from weightlint.cli import main

if __name__ == "__main__":
    main()
