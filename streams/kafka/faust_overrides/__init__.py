"""Where Faust's own behaviour loses or delays a message, and what replaces it."""
