"""Spellings as tables of moves: how tensors of one dialect are made of those of another, both ways."""
