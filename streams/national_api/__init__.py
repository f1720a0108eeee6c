"""The national pharmacy API: log-in, submission, look-up; its answers become outcomes in `answers`."""

import os

# The HTTP client has a heap of its own (mimalloc), whose habits are read as it is loaded: large pages, and freed ones
# kept for a second. They were 24 of 57 MB with 800 connections, and no faster.
os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")
