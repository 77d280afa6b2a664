"""Files over the network, read by ranges of bytes: what all stores that are not on this machine share.

A site says which files there are and at which address each of them is; everything is then read by HTTP, in one way.
"""
