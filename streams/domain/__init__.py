"""The pipeline's vocabulary: change events, decisions, outcomes and their reasons. Nothing here does any I/O."""
