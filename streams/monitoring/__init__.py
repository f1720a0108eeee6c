"""Whether this worker is healthy: what it reports about itself, and what restarts it when it stalls."""
