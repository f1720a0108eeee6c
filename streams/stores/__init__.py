"""Access to the sales database, MongoDB and the Redis lock: statements, claims, decisions."""
