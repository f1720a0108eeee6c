"""Every sale of a pharmacy, from its SQL Server to the national pharmacy API, and the answer back."""

__version__ = "0.1.0"
"""The only place that it is written: pyproject.toml reads it from here, and tests hold the containers' tags to it."""
