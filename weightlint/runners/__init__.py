"""Drawer: one file per way of getting jobs done."""
