"""The page for the people who look after the sales: served by each worker, in Vietnamese and English."""
