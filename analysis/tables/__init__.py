"""Tables of a paper, as text and as files."""
