"""Outputs: Report to stream, one file per format."""
