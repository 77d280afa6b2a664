"""Reading torch files: archives, legacy streams, storages and the tensors that view them."""
