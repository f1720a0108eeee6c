"""Programs that show the demo to readers of the documentation, in screenshots and in a recorded session."""
