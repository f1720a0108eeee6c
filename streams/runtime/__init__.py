"""The process itself: logs, limits, waiting, ending. It knows of no document."""
