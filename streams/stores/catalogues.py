"""The queries by which `doctor` inspects a server, for each of those that are supported.

Those of SQL Server run on 2008 R2; what an older version lacks is a query of its own, which then finds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Names of tables, columns and rights are formatted in. None: the server has nothing of that kind."""

    indexes: str
    """Returns table, index, column and its position from 1, for every index of the schema `dbo`; names in any case."""
    tables_without_key: str
    """Returns the names of the tables of the schema `dbo` that have no primary key; in any case."""
    may: str | None = None
    """Returns 1 if the login has the ``{right}`` on ``{table}``."""
    may_column: str | None = None
    """Returns 1 if the login has the ``{right}`` on the ``{column}`` of ``{table}``."""
    triggers: str | None = None
    """Returns the name of each trigger that runs at an update of ``{table}``, and 1 if it may reach into another
    database."""
    hidden_triggers: str | None = None
    """Returns how many triggers of ``{table}``, disabled ones included, the login cannot see."""
    captures_database: str | None = None
    """Returns whether change data capture is on, and snapshot isolation (1 is on)."""
    captures_table: str | None = None
    """Returns 1 if the changes of ``{table}`` are captured."""
    captured_columns: str | None = None
    """Returns the columns of `streams.stores.capture_setup.CapturedColumn`, for every captured column."""
    capture_job: str | None = None
    """Returns 1 if the capture job is running, and no row if there is no such job."""
    kept_minutes: str | None = None
    """Returns for how many minutes captured changes are kept."""
    columns: str = (
        "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.CHARACTER_MAXIMUM_LENGTH, CAST(NULL AS INT) "
        "FROM INFORMATION_SCHEMA.COLUMNS c WHERE c.TABLE_SCHEMA = 'dbo'"
    )
    """Returns table, column, type, length in characters (below 1 or above a billion: no limit) and, for texts that are
    not Unicode, the Windows code page, of every column of the schema `dbo` that the login may use."""
    server: str | None = None
    """Returns one row with the columns of `streams.operators.checks.server_state.State`."""
    volumes: str | None = None
    """Returns the name, the free and the whole space in MB of each volume with files of the database."""
    availability_group: str | None = None
    """Returns a row if the database belongs to an availability group of Always On."""
    replicas_behind: str | None = None
    """Returns how many replicas of the database do not receive its log."""
    mirroring: str | None = None
    """Returns the state of database mirroring; no row if the database is not mirrored."""


SQL_SERVER = Catalogue(
    indexes=(
        "SELECT t.name, i.name, c.name, k.key_ordinal FROM sys.index_columns k "
        "JOIN sys.indexes i ON i.object_id = k.object_id AND i.index_id = k.index_id "
        "JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id "
        "JOIN sys.tables t ON t.object_id = k.object_id "
        "WHERE t.schema_id = SCHEMA_ID('dbo') AND k.key_ordinal > 0 AND i.is_disabled = 0"
    ),
    tables_without_key=(
        "SELECT t.name FROM sys.tables t WHERE t.schema_id = SCHEMA_ID('dbo') "
        "AND NOT EXISTS (SELECT 1 FROM sys.indexes i WHERE i.object_id = t.object_id AND i.is_primary_key = 1)"
    ),
    may="SELECT HAS_PERMS_BY_NAME('dbo.{table}', 'OBJECT', '{right}')",
    may_column="SELECT HAS_PERMS_BY_NAME('dbo.{table}', 'OBJECT', '{right}', '{column}', 'COLUMN')",
    triggers=(
        "SELECT t.name, CASE WHEN OBJECT_DEFINITION(t.object_id) LIKE '%].[[]%].[[]%' "
        "OR OBJECT_DEFINITION(t.object_id) LIKE '%.dbo.%' THEN 1 ELSE 0 END "
        "FROM sys.triggers t JOIN sys.trigger_events e ON e.object_id = t.object_id AND e.type_desc = 'UPDATE' "
        "WHERE t.parent_id = OBJECT_ID('dbo.{table}') AND t.is_disabled = 0"
    ),
    hidden_triggers=(
        "SELECT CASE WHEN HAS_PERMS_BY_NAME('dbo.{table}', 'OBJECT', 'VIEW DEFINITION') = 1 THEN 0 "
        "ELSE OBJECTPROPERTY(OBJECT_ID('dbo.{table}'), 'TableUpdateTriggerCount') END"
    ),
    captures_database=(
        "SELECT d.is_cdc_enabled, d.snapshot_isolation_state FROM sys.databases d WHERE d.database_id = DB_ID()"
    ),
    captures_table="SELECT t.is_tracked_by_cdc FROM sys.tables t WHERE t.object_id = OBJECT_ID('dbo.{table}')",
    captured_columns=(
        "SELECT t.capture_instance, OBJECT_NAME(t.source_object_id) AS table_name, c.column_name, "
        "CASE WHEN t.role_name = 'sale_capture' THEN 1 ELSE 0 END AS is_ours, "
        "CASE WHEN s.system_type_id = k.system_type_id AND s.max_length = k.max_length "
        "AND s.precision = k.precision AND s.scale = k.scale THEN 0 ELSE 1 END AS is_outdated "
        "FROM cdc.change_tables t JOIN cdc.captured_columns c ON c.object_id = t.object_id "
        "LEFT JOIN sys.columns k ON k.object_id = t.object_id AND k.name = c.column_name "
        "LEFT JOIN sys.columns s ON s.object_id = t.source_object_id AND s.name = c.column_name"
    ),
    capture_job=(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM msdb.dbo.sysjobactivity a WHERE a.job_id = j.job_id "
        "AND a.session_id = (SELECT MAX(s.session_id) FROM msdb.dbo.syssessions s) "
        "AND a.start_execution_date IS NOT NULL AND a.stop_execution_date IS NULL) THEN 1 ELSE 0 END "
        "FROM msdb.dbo.cdc_jobs j WHERE j.database_id = DB_ID() AND j.job_type = 'capture'"
    ),
    kept_minutes=(
        "SELECT j.retention FROM msdb.dbo.cdc_jobs j WHERE j.database_id = DB_ID() AND j.job_type = 'cleanup'"
    ),
    columns=(
        "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.CHARACTER_MAXIMUM_LENGTH, "
        "CAST(CASE WHEN c.DATA_TYPE IN ('char', 'varchar', 'text') "
        "THEN COLLATIONPROPERTY(c.COLLATION_NAME, 'CodePage') END AS INT) "
        "FROM INFORMATION_SCHEMA.COLUMNS c WHERE c.TABLE_SCHEMA = 'dbo'"
    ),
    # A file without a limit has the size -1; one that does not grow has its present size for a limit.
    server=(
        "SELECT CAST(SERVERPROPERTY('ProductVersion') AS NVARCHAR(128)) AS version, "
        "CAST(SERVERPROPERTY('Edition') AS NVARCHAR(128)) AS edition, "
        "CAST(SERVERPROPERTY('EngineEdition') AS INT) AS engine, "
        "CAST(SERVERPROPERTY('IsIntegratedSecurityOnly') AS INT) AS windows_only, "
        "CASE WHEN HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') = 1 THEN (SELECT COUNT(*) "
        "FROM sys.dm_exec_sessions x WHERE x.program_name LIKE 'SQLAgent%') END AS agent_sessions, "
        "CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS NVARCHAR(128)) AS updateability, "
        "SUSER_SNAME(d.owner_sid) AS owner, "
        "d.recovery_model_desc AS recovery_model, "
        "d.snapshot_isolation_state_desc AS snapshot_isolation, "
        "d.is_read_committed_snapshot_on AS read_committed_snapshot, "
        "d.is_published AS published, "
        "(SELECT SUM(CAST(FILEPROPERTY(f.name, 'SpaceUsed') AS BIGINT)) / 128 FROM sys.database_files f "
        "WHERE f.type = 0) AS data_mb, "
        "(SELECT CASE WHEN SUM(CASE WHEN f.growth > 0 AND f.max_size = -1 THEN 1 ELSE 0 END) > 0 THEN NULL "
        "ELSE SUM(CAST(CASE WHEN f.growth = 0 OR f.max_size < f.size THEN f.size ELSE f.max_size END AS BIGINT)) / 128 "
        "END FROM sys.database_files f WHERE f.type = 0) AS data_limit_mb "
        "FROM sys.databases d WHERE d.database_id = DB_ID()"
    ),
    # Since 2008 R2 SP1.
    volumes=(
        "SELECT DISTINCT v.volume_mount_point, v.available_bytes / 1048576, v.total_bytes / 1048576 "
        "FROM sys.database_files f CROSS APPLY sys.dm_os_volume_stats(DB_ID(), f.file_id) v"
    ),
    # Since 2012.
    availability_group=("SELECT 1 FROM sys.databases d WHERE d.database_id = DB_ID() AND d.replica_id IS NOT NULL"),
    replicas_behind=(
        "SELECT COUNT(*) FROM sys.dm_hadr_database_replica_states r "
        "WHERE r.database_id = DB_ID() AND r.synchronization_state NOT IN (1, 2)"
    ),
    mirroring=(
        "SELECT m.mirroring_state_desc FROM sys.database_mirroring m "
        "WHERE m.database_id = DB_ID() AND m.mirroring_guid IS NOT NULL"
    ),
)

POSTGRESQL = Catalogue(
    indexes=(
        "SELECT t.relname, x.relname, a.attname, k.place FROM pg_index i "
        "JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid "
        "CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place) "
        "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum "
        "WHERE t.relnamespace = 'dbo'::regnamespace AND i.indisvalid"
    ),
    tables_without_key=(
        "SELECT t.relname FROM pg_class t WHERE t.relnamespace = 'dbo'::regnamespace AND t.relkind = 'r' "
        "AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)"
    ),
    may="SELECT CASE WHEN has_table_privilege('dbo.{table}', '{right}') THEN 1 ELSE 0 END",
    may_column="SELECT CASE WHEN has_column_privilege('dbo.{table}', '{column}', '{right}') THEN 1 ELSE 0 END",
    # One that runs for each row is right, however many a statement changes.
    triggers=(
        "SELECT t.tgname, 0 FROM pg_trigger t WHERE t.tgrelid = 'dbo.{table}'::regclass AND NOT t.tgisinternal "
        "AND t.tgenabled <> 'D' AND t.tgtype & 16 > 0 AND t.tgtype & 1 = 0"
    ),
)

SQLITE = Catalogue(
    indexes=(
        "SELECT m.tbl_name, m.name, i.name, i.seqno + 1 FROM dbo.sqlite_master m "
        "JOIN pragma_index_info(m.name, 'dbo') i WHERE m.type = 'index'"
    ),
    tables_without_key=(
        "SELECT m.name FROM dbo.sqlite_master m WHERE m.type = 'table' "
        "AND NOT EXISTS (SELECT 1 FROM pragma_table_info(m.name, 'dbo') c WHERE c.pk > 0)"
    ),
    # The type as it was declared, with its length in it.
    columns=(
        "SELECT m.name, c.name, c.type, NULL, NULL FROM dbo.sqlite_master m "
        "JOIN pragma_table_info(m.name, 'dbo') c WHERE m.type = 'table'"
    ),
)
