-- The connector's login, with the rights that it needs and no other. Only where changes are captured (CAPTURE=cdc).
-- Run it in the sales database after 10_capture_on.sql. Name and password are taken from the environment:
--   DEBEZIUM_LOGIN, DEBEZIUM_PASSWORD   (a password without apostrophes)
--   sqlcmd -S <server> -d <database> -b -I -i 20_connector_login.sql
-- It may be run again; a changed password is then taken over. Stop first whoever logs in with the old one: enough refused
-- log-ins lock it (18486), and ALTER LOGIN ... WITH PASSWORD = ... UNLOCK opens it again.
-- Locks: only what describes logins, users and rights, for milliseconds.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
GO

IF SCHEMA_ID(N'cdc') IS NULL OR DATABASE_PRINCIPAL_ID(N'sale_capture') IS NULL
    RAISERROR(N'Run 10_capture_on.sql in this database first.', 16, 1);
GO

-- Its SID is made from its name, so that it is the same on every replica of an availability group, and on the server to
-- which the database is restored: the user in the database then belongs to the login there, too.
DECLARE @sid VARBINARY(85) = CAST(HASHBYTES('SHA1', N'sale streams/' + LOWER(N'$(DEBEZIUM_LOGIN)')) AS BINARY(16));
IF SUSER_ID(N'$(DEBEZIUM_LOGIN)') IS NULL
BEGIN
    DECLARE @create NVARCHAR(MAX) = N'CREATE LOGIN [$(DEBEZIUM_LOGIN)] WITH SID = '
        + CONVERT(NVARCHAR(100), @sid, 1) + N', PASSWORD = N' + QUOTENAME(N'$(DEBEZIUM_PASSWORD)', N);
    EXEC sys.sp_executesql @create;
END;
IF SUSER_SID(N'$(DEBEZIUM_LOGIN)') <> @sid
    PRINT N'Note: this login was made with another SID. With replicas: drop it on each, and run this script again there.';
-- Only where it is another one: policies may refuse to set the same again.
IF EXISTS (
    SELECT 1
    FROM sys.sql_logins
    WHERE name = N'$(DEBEZIUM_LOGIN)' AND PWDCOMPARE(N'$(DEBEZIUM_PASSWORD)', password_hash) = 0
)
    ALTER LOGIN [$(DEBEZIUM_LOGIN)] WITH PASSWORD = N'$(DEBEZIUM_PASSWORD)';
GO

IF USER_ID(N'$(DEBEZIUM_LOGIN)') IS NULL
    CREATE USER [$(DEBEZIUM_LOGIN)] FOR LOGIN [$(DEBEZIUM_LOGIN)];
-- A database that was restored on another server has the user, but tied to nobody.
ALTER USER [$(DEBEZIUM_LOGIN)] WITH LOGIN = [$(DEBEZIUM_LOGIN)];
GO

ALTER ROLE sale_capture ADD MEMBER [$(DEBEZIUM_LOGIN)];
-- Of the schema cdc it reads three tables of CDC's own, and what is captured of the sales; others may capture other
-- tables here. An earlier version of this script gave it the whole schema.
REVOKE SELECT ON SCHEMA::cdc FROM [$(DEBEZIUM_LOGIN)];
GRANT SELECT ON cdc.change_tables TO [$(DEBEZIUM_LOGIN)];
GRANT SELECT ON cdc.captured_columns TO [$(DEBEZIUM_LOGIN)];
GRANT SELECT ON cdc.lsn_time_mapping TO [$(DEBEZIUM_LOGIN)];
DECLARE @captured NVARCHAR(MAX) = N'';
SELECT @captured = @captured + N'GRANT SELECT ON cdc.' + QUOTENAME(capture_instance + N'_CT') + N' TO [$(DEBEZIUM_LOGIN)]; '
FROM cdc.change_tables
WHERE role_name = N'sale_capture';
IF @captured <> N''
    EXEC sys.sp_executesql @captured;
GO

-- SQL Server shows a capture only to those who may read each of its columns in the table itself.
GRANT SELECT ON dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, status)
    TO [$(DEBEZIUM_LOGIN)];
-- The structure: types and primary key, no data.
GRANT VIEW DEFINITION ON dbo.SalesInvoices TO [$(DEBEZIUM_LOGIN)];
-- After each batch the connector asks sys.dm_cdc_log_scan_sessions; refused, it warns twice a second in its log.
GRANT VIEW DATABASE STATE TO [$(DEBEZIUM_LOGIN)];
GO

-- The same for purchase receipts and goods issues, where the database has their tables.
IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NOT NULL
BEGIN
    GRANT SELECT ON dbo.PurchaseReceipts (id, local_receipt_id, pharmacy_code, shop_pharmacy_code, status)
        TO [$(DEBEZIUM_LOGIN)];
    GRANT VIEW DEFINITION ON dbo.PurchaseReceipts TO [$(DEBEZIUM_LOGIN)];
END;
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NOT NULL
BEGIN
    GRANT SELECT ON dbo.GoodsIssueSlips (id, local_slip_id, pharmacy_code, shop_pharmacy_code, status)
        TO [$(DEBEZIUM_LOGIN)];
    GRANT VIEW DEFINITION ON dbo.GoodsIssueSlips TO [$(DEBEZIUM_LOGIN)];
END;
GO
