"""Overrides for those parts of Faust that lose or delay messages."""
