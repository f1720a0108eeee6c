"""Kafka Connect: the connector's configuration, deployment and state."""
