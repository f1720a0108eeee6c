"""The path of a document: intake, sending, deciding, publishing, write-back."""
