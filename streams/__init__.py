"""Every sale of a pharmacy, from its SQL Server to the national pharmacy API, and the answer back."""
