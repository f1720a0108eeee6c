"""The path of a document: taken in, sent, decided, published, written back."""
