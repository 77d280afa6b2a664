"""Quants: what a quantisation scheme makes of the expectation, one file per scheme."""
