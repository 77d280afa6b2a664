"""Shardings: how a model is cut into files by rank, one file per way of cutting."""
