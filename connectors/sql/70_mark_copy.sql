-- Makes a restored copy of the sales database fit for a rehearsal (docs/rehearsal.md): marks it as a copy, and overwrites
-- the shops' accounts of the national system in it. Run it in the copy, as its owner, right after each restore:
--   sqlcmd -S <server> -d <database>_rehearsal -b -I -i 70_mark_copy.sql
-- It may be run again. It changes no database whose name does not end in _rehearsal.
-- Microsoft SQL Server 2008 R2 or later, any edition.
--
-- The mark is the table dbo.SaleSyncCopy. A worker sends a marked database's documents to the addresses in this table alone,
-- and does not start with any other NATIONAL_API_URL. Production has no such table: if a copy has become your production
-- database, write the shops' accounts into dbo.AccountShop again, then drop the table.
-- Locks: the rows of dbo.AccountShop, which no till uses in a copy.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
GO

IF DB_NAME() NOT LIKE N'%[_]rehearsal'
BEGIN
    DECLARE @name SYSNAME = DB_NAME();
    RAISERROR(N'Nothing was changed: the name of the database %s does not end in _rehearsal. Restore the copy under such a name.', 16, 1, @name);
END;
GO

IF DB_NAME() LIKE N'%[_]rehearsal'
BEGIN
    BEGIN TRANSACTION;
    IF OBJECT_ID(N'dbo.SaleSyncCopy', N'U') IS NULL
        CREATE TABLE dbo.SaleSyncCopy (
            -- NATIONAL_API_URL must be one of these: the simulator's address.
            api_url NVARCHAR(400) NOT NULL
        );
    IF NOT EXISTS (SELECT 1 FROM dbo.SaleSyncCopy)
        INSERT INTO dbo.SaleSyncCopy (api_url) VALUES (N'http://127.0.0.1:8000');
    -- Whatever its login, a worker must see the mark.
    GRANT SELECT ON dbo.SaleSyncCopy TO public;
    DECLARE @account NVARCHAR(50) = N'rehearsal';
    UPDATE dbo.AccountShop SET account = @account, password = @account;
    COMMIT;
    PRINT N'Marked as a copy. Its documents can only be sent to the addresses in dbo.SaleSyncCopy.';
END;
GO
