"""Dialects: other spellings of the same model, one file per dialect."""
