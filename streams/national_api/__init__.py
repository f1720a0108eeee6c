"""The national pharmacy API: log-in, submission, look-up; its answers become outcomes in `answers`."""
