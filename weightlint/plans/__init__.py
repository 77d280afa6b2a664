"""Kinds of parallelism: one file per kind, how it cuts a slot."""
