"""What the bytes of a checkpoint are to be held against: jobs, truths, manifests, and the tally of what was seen.

Reading and hashing is the work of `weightlint.scanning`.
"""
