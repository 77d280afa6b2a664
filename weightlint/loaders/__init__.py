"""Loaders: one file per framework, the facts of how it reads a checkpoint."""
