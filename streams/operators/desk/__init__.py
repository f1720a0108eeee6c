"""The operators' view of the sales database, and the two actions on it; the page and the commands are built on it.

The present state is read from the sales database, which is the source of truth; only the history of a sale comes from
MongoDB. Queries raise `StoreUnavailable` if the database is unreachable or a point of sale keeps a row locked, and the
caller may try again: nothing in here waits.
"""
