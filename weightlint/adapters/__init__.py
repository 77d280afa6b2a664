"""LoRA adapters: pairs of matrices, their config and the base that they are for."""
