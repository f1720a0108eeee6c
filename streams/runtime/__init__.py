"""The process itself: logs, outages, retries, limits, shutdown. Nothing here depends on a document type."""
