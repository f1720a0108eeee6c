"""What an operator asks of the sales database, and the two things that an operator does: the page and the commands
stand on this. What stands now is asked of the database, where the truth is; only a sale's history is Mongo's.

Questions raise `StoreUnavailable` where the database is away or a till holds a row: ask again. Nothing here waits.
"""
