"""Just enough of git to read a pointer out of a clone: its index, loose objects and packs.

The git program is never run on a repository of strangers: its config may name commands. No config, hook, ref or
alternate is read here, and no object of more than a few KiB is unpacked. Formats: Documentation/gitformat-index.adoc
and gitformat-pack.adoc in git/git.
"""
