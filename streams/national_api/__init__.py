"""The client of the national pharmacy API: log-in, submission, look-up. `answers` turns its answers into outcomes."""

import os

# The HTTP client has a heap of its own (mimalloc), which reads these settings when it is loaded. By default it uses
# large pages and keeps freed ones for a second: that was 24 of 57 MB with 800 connections, and no faster.
os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")
