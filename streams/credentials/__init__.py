"""Credentials, from where somebody wrote them to the form that a driver takes. `streams.settings` alone uses them."""
