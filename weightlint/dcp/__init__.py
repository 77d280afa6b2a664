"""Reading folders of torch.distributed.checkpoint: their table, their chunks."""
