"""Tables of a paper, as text and as files.

Every function that makes one takes a frame (see `analysis.frames`) with at least one row and the
comparisons that it was computed from, and returns a `table.Table`.
"""
