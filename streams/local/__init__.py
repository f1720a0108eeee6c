"""The local stack (`STACK=local`): every server that the pipeline needs, without a container engine."""
