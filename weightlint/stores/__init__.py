"""Drawer of stores: each file is one place where bytes live and offers it as `STORE`."""
