"""What a framework's own loader does with each tensor, worked out without the framework."""
