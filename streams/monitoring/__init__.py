"""Whether this worker is healthy: what it shows, and what ends it when it stands still."""
