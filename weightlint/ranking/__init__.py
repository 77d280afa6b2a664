"""Models cut into rank files: which rank a file is, and the whole model put together again."""
