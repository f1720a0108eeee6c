"""What the pipeline speaks of: change events, decisions, outcomes and their reasons. It knows of no server."""
