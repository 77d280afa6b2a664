"""What a plan breaks on: heads, blocks, experts, stages, slices. Rules and the table of plans read it."""
