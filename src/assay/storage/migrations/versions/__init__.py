"""Versions: the revisions, one file each, in the order of their numbers; none goes back."""
