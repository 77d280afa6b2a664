"""Pickles read without being executed: an allow-list machine over the opcodes that torch.save writes."""
