-- Switches change data capture on for the sales, and for purchase receipts and goods issues where the database has
-- their tables: of each, five columns that name nobody leave the database, nothing else.
-- Microsoft SQL Server 2016 SP1 or later, Standard edition or better; a sysadmin runs it in the sales database:
--   sqlcmd -S <server> -d <database> -b -I -i 10_capture_on.sql
-- It may be run again: after a fail-over (jobs stay behind on the old primary), or to put its numbers back.
--
-- Locks: enabling the table takes a schema lock on dbo.SalesInvoices for a moment, once every open transaction on it
-- has ended; whoever comes after has to queue, five seconds at most, after which it ends with error 1222: run it again.
-- Allowing snapshot isolation waits for all open transactions and keeps nobody out. Best after closing time.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
SET LOCK_TIMEOUT 5000;
GO

-- Capturing is a job of SQL Server Agent. Without it everything below succeeds, and no change ever arrives.
-- A server that has just started gets a minute to start its agent.
DECLARE @left INT = 30;
WHILE @left > 0
    AND NOT EXISTS (SELECT 1 FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server Agent%' AND status = 4)
    AND NOT EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE program_name LIKE N'SQLAgent%')
BEGIN
    WAITFOR DELAY '00:00:02';
    SET @left = @left - 1;
END;
IF @left = 0
    RAISERROR(N'SQL Server Agent is not running: start it, let it start with the server, and run this script again.', 16, 1);
GO

IF OBJECT_ID(N'dbo.SalesInvoices', N'U') IS NULL
    RAISERROR(N'dbo.SalesInvoices is not in this database: name the sales database with -d.', 16, 1);
GO

-- The connector reads the structure of the table in a snapshot: without it the row versions of a running till could
-- be seen twice, and with other isolation levels it would lock the till out.
IF EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND snapshot_isolation_state = 0)
    ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
GO

IF EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 0)
    EXEC sys.sp_cdc_enable_db;
GO

-- Who is not in the role sale_capture sees nothing of what is captured (20_connector_login.sql puts the connector in).
-- Net changes would cost an index on every row and are never asked for.
IF NOT EXISTS (
    SELECT 1
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'dbo.SalesInvoices') AND role_name = N'sale_capture'
)
    EXEC sys.sp_cdc_enable_table
        @source_schema = N'dbo',
        @source_name = N'SalesInvoices',
        @capture_instance = N'dbo_SalesInvoices_1',
        @role_name = N'sale_capture',
        @captured_column_list = N'id, local_invoice_id, pharmacy_code, shop_pharmacy_code, status',
        @supports_net_changes = 0;
GO
IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'dbo.PurchaseReceipts') AND role_name = N'sale_capture'
)
    EXEC sys.sp_cdc_enable_table
        @source_schema = N'dbo',
        @source_name = N'PurchaseReceipts',
        @capture_instance = N'dbo_PurchaseReceipts_1',
        @role_name = N'sale_capture',
        @captured_column_list = N'id, local_receipt_id, pharmacy_code, shop_pharmacy_code, status',
        @supports_net_changes = 0;
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM cdc.change_tables
    WHERE source_object_id = OBJECT_ID(N'dbo.GoodsIssueSlips') AND role_name = N'sale_capture'
)
    EXEC sys.sp_cdc_enable_table
        @source_schema = N'dbo',
        @source_name = N'GoodsIssueSlips',
        @capture_instance = N'dbo_GoodsIssueSlips_1',
        @role_name = N'sale_capture',
        @captured_column_list = N'id, local_slip_id, pharmacy_code, shop_pharmacy_code, status',
        @supports_net_changes = 0;
GO

-- Somebody else may capture more of a table. It is left alone, but names of people lie there.
DECLARE @more NVARCHAR(MAX) = N'';
SELECT @more = @more + N'Note: dbo.' + OBJECT_NAME(t.source_object_id) + N' is captured with ' + c.column_name
    + N' too, for something else. '
FROM cdc.captured_columns c
JOIN cdc.change_tables t ON t.object_id = c.object_id
JOIN (
    VALUES
        (N'dbo.SalesInvoices', N'local_invoice_id'),
        (N'dbo.PurchaseReceipts', N'local_receipt_id'),
        (N'dbo.GoodsIssueSlips', N'local_slip_id')
) AS d (name, code) ON t.source_object_id = OBJECT_ID(d.name)
WHERE c.column_name NOT IN (N'id', d.code, N'pharmacy_code', N'shop_pharmacy_code', N'status');
IF @more <> N''
    PRINT @more;
GO

-- A replica that has become the primary has the captured tables, but not the jobs. Where transactional replication
-- publishes the database, its Log Reader Agent captures, and a capture job is not allowed.
IF OBJECT_ID(N'msdb.dbo.cdc_jobs', N'U') IS NULL
    AND EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_published = 0)
    EXEC sys.sp_cdc_add_job @job_type = N'capture';
GO
IF NOT EXISTS (SELECT 1 FROM msdb.dbo.cdc_jobs WHERE database_id = DB_ID() AND job_type = N'capture')
    AND EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_published = 0)
    EXEC sys.sp_cdc_add_job @job_type = N'capture';
IF NOT EXISTS (SELECT 1 FROM msdb.dbo.cdc_jobs WHERE database_id = DB_ID() AND job_type = N'cleanup')
    EXEC sys.sp_cdc_add_job @job_type = N'cleanup';
GO

-- Changes are kept for 14 days (in minutes) instead of 3: so long may the connector be down without missing any.
IF EXISTS (
    SELECT 1 FROM msdb.dbo.cdc_jobs WHERE database_id = DB_ID() AND job_type = N'cleanup' AND retention < 20160
)
    EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 20160;
GO

-- The log is read every second instead of every five, 5,000 transactions at a time instead of 500. The job reads its
-- numbers when it starts, so it is started anew, but only where they were others.
IF EXISTS (
    SELECT 1
    FROM msdb.dbo.cdc_jobs
    WHERE database_id = DB_ID() AND job_type = N'capture'
        AND (pollinginterval <> 1 OR maxtrans <> 5000 OR maxscans <> 10 OR continuous <> 1)
)
BEGIN
    DECLARE @job UNIQUEIDENTIFIER =
        (SELECT job_id FROM msdb.dbo.cdc_jobs WHERE database_id = DB_ID() AND job_type = N'capture');
    DECLARE @patience INT = 15;
    WAITFOR DELAY '00:00:05'; -- it may have been told to start a moment ago
    EXEC sys.sp_cdc_change_job
        @job_type = N'capture', @pollinginterval = 1, @maxtrans = 5000, @maxscans = 10, @continuous = 1;
    IF EXISTS (
        SELECT 1
        FROM msdb.dbo.sysjobactivity
        WHERE job_id = @job AND session_id = (SELECT MAX(session_id) FROM msdb.dbo.syssessions)
            AND start_execution_date IS NOT NULL AND stop_execution_date IS NULL
    )
        EXEC sys.sp_cdc_stop_job @job_type = N'capture';
    WHILE @patience > 0
        AND EXISTS (
            SELECT 1
            FROM msdb.dbo.sysjobactivity
            WHERE job_id = @job AND session_id = (SELECT MAX(session_id) FROM msdb.dbo.syssessions)
                AND start_execution_date IS NOT NULL AND stop_execution_date IS NULL
        )
    BEGIN
        WAITFOR DELAY '00:00:02';
        SET @patience = @patience - 1;
    END;
    EXEC sys.sp_cdc_start_job @job_type = N'capture';
END;
GO

-- A primary that was a secondary for a while has a job that failed there, and that nobody starts again.
DECLARE @job UNIQUEIDENTIFIER =
    (SELECT job_id FROM msdb.dbo.cdc_jobs WHERE database_id = DB_ID() AND job_type = N'capture');
IF @job IS NOT NULL
BEGIN
    WAITFOR DELAY '00:00:05'; -- it may have been told to start a moment ago
    IF NOT EXISTS (
        SELECT 1
        FROM msdb.dbo.sysjobactivity
        WHERE job_id = @job AND session_id = (SELECT MAX(session_id) FROM msdb.dbo.syssessions)
            AND start_execution_date IS NOT NULL AND stop_execution_date IS NULL
    )
        EXEC sys.sp_cdc_start_job @job_type = N'capture';
END;
GO

IF EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_published = 1)
    PRINT N'Note: the database is published, so the Log Reader Agent captures: keep it running.';
DECLARE @captured NVARCHAR(MAX) = N'';
SELECT @captured = @captured + N' dbo.' + OBJECT_NAME(source_object_id)
FROM cdc.change_tables
WHERE role_name = N'sale_capture';
PRINT N'Changes are captured of' + @captured + N'.';
GO
