"""What holds for every test: no test asserts how long an example of hypothesis takes."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("weightlint", deadline=None)
settings.load_profile("weightlint")
