"""`weightlint verify`: what is known of a checkpoint's bytes, what to find out about them, and what was found."""
