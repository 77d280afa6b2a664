"""The one pass over bytes: chunks that stay in cache, what is watched in them, what is hashed.

numpy is imported at the top of these rooms; whoever scans imports them where it does.
"""
