"""Drawer of sources of truth: each file is one place where hashes of files are written down, as `SOURCE`."""
