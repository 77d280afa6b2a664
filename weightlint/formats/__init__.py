"""Drawer of formats: each file reads one way of storing tensors and offers it as `FORMAT`."""
