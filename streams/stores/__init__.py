"""The sales database, MongoDB and the lock in Redis: statements, claims, decisions."""
