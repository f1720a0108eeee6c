"""The page for whoever looks after the sales: served by each worker, in Vietnamese and English."""
