"""Reading GGUF: from the bytes of a header to a table of tensors and what is wrong with it."""
