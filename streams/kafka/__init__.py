"""Between the broker and a worker: topics, order, fairness, acknowledgement."""
