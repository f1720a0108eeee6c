"""The real servers without a container engine: Kafka, Kafka Connect with Debezium, PostgreSQL, Redis, Mongo protocol.

For tests, benchmarks and ``make demo SERVERS=real``. What stands in for SQL Server is PostgreSQL behind ODBC, captured
by Debezium from its log; everything else is what production runs, or speaks its protocol.
"""
