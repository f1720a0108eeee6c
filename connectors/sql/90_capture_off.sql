-- Takes back what 10_capture_on.sql, 20_connector_login.sql and 40_worker_login.sql gave. Stop the worker and the connector first.
-- SQL Server 2008 R2 or later. A sysadmin runs it in the sales database; DEBEZIUM_LOGIN and WORKER_LOGIN are taken from the environment:
--   sqlcmd -S <server> -d <database> -b -I -v DROP_SALE_SYNC=no -i 90_capture_off.sql
-- It may be run again. It leaves: the till's tables and all that was written into them; the indexes, which serve
-- others too (91_indexes_off.sql drops them); snapshot isolation; the two logins, without any right in this database; dbo.SaleSync and dbo.SaleAction.
--
-- It is also the emergency exit when the transaction log fills because changes are not captured: from then on it can be
-- emptied, by the next checkpoint or log back-up. Sales wait, and none is lost (docs/runbook.md).
-- Locks: a schema lock on dbo.SalesInvoices for a moment, as 10_capture_on.sql takes it.
--
-- dbo.SaleSync says which sales the national system holds. Once it is gone, a worker that is switched on again has to
-- look up every sale before it may send it. Only DROP_SALE_SYNC=yes drops it, and dbo.SaleAction with it.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
GO

-- Ours alone, however many there are: others may capture the same tables.
IF OBJECT_ID(N'cdc.change_tables', N'U') IS NOT NULL
BEGIN
    DECLARE @instance SYSNAME, @table SYSNAME;
    WHILE 1 = 1
    BEGIN
        SET @instance = (SELECT MIN(capture_instance) FROM cdc.change_tables WHERE role_name = N'sale_capture');
        IF @instance IS NULL BREAK;
        SET @table = (
            SELECT OBJECT_NAME(source_object_id) FROM cdc.change_tables WHERE capture_instance = @instance
        );
        EXEC sys.sp_cdc_disable_table
            @source_schema = N'dbo', @source_name = @table, @capture_instance = @instance;
    END;
END;
GO

-- Other tables may be captured.
IF EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND is_cdc_enabled = 1)
    AND NOT EXISTS (SELECT 1 FROM sys.tables WHERE is_tracked_by_cdc = 1)
    EXEC sys.sp_cdc_disable_db;
GO

-- A user takes his rights and memberships along.
IF DATABASE_PRINCIPAL_ID(N'$(DEBEZIUM_LOGIN)') IS NOT NULL
    DROP USER [$(DEBEZIUM_LOGIN)];
IF DATABASE_PRINCIPAL_ID(N'$(WORKER_LOGIN)') IS NOT NULL
    DROP USER [$(WORKER_LOGIN)];
IF DATABASE_PRINCIPAL_ID(N'sale_capture') IS NOT NULL
    DROP ROLE sale_capture;
GO

IF N'$(DROP_SALE_SYNC)' = N'yes' AND OBJECT_ID(N'dbo.SaleSync', N'U') IS NOT NULL
    DROP TABLE dbo.SaleSync;
IF N'$(DROP_SALE_SYNC)' = N'yes' AND OBJECT_ID(N'dbo.SaleAction', N'U') IS NOT NULL
    DROP TABLE dbo.SaleAction;
GO

PRINT N'Changes are not captured for the worker any more.';
GO
