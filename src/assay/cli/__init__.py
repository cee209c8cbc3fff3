"""Command line: the one place that knows every room. One file a group of commands, in the order of the walk.

`app` puts the groups together and turns errors into one sentence; `context` opens the workspace and prints ids and the
next command.
"""
