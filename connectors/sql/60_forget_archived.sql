-- Forgets the sales, receipts and slips that the till's software has archived or deleted: their rows leave dbo.SaleSync.
-- While a sale is in dbo.SalesInvoices its row stays: it says which version the national system holds (docs/sizing.md has its size).
-- Run it after each archiving, or never; workers and tills go on:
--   sqlcmd -S <server> -d <database> -b -I -v KEEP_DAYS=90 -i 60_forget_archived.sql
-- KEEP_DAYS: sales that were sent or asked for within so many days stay. Not below 30: so long may change events, retries and
-- decisions of a sale still come from Kafka. It may be run again, and interrupted.
--
-- Locks: 1,000 rows of dbo.SaleSync at a time, of sales that nobody asks for any more.
--
-- Should an archived sale be put back as PENDING_SYNC, it is one with an unknown past: it is looked up before it is sent,
-- and its attempts begin with 1 again. So the cut-over mark of CAPTURE=polling is raised above what was forgotten.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
SET LOCK_TIMEOUT 5000;
SET DEADLOCK_PRIORITY LOW;
GO

IF N'$(KEEP_DAYS)' LIKE N'%[^0-9]%' OR CAST(N'0$(KEEP_DAYS)' AS INT) < 30
    RAISERROR(N'KEEP_DAYS must be a number of 30 or more.', 16, 1);
GO

-- Both moments are milliseconds since 1970; a row that has neither stays. Where a table is missing, nothing is archived.
IF OBJECT_ID(N'dbo.SalesInvoices') IS NOT NULL
BEGIN
    DECLARE @before BIGINT =
        (CAST(DATEDIFF(SECOND, '2000-01-01', SYSUTCDATETIME()) AS BIGINT) + 946684800) * 1000
        - CAST(N'0$(KEEP_DAYS)' AS BIGINT) * 86400000;
    DECLARE @from BIGINT = (SELECT MIN(s.id) FROM dbo.SaleSync s WHERE s.document_type = N'sale') - 1;
    DECLARE @to BIGINT, @done INT = 0;
    WHILE 1 = 1
    BEGIN
        SET @to = (
            SELECT MAX(q.id)
            FROM (
                SELECT TOP (1000) s.id
                FROM dbo.SaleSync s
                WHERE s.document_type = N'sale' AND s.id > @from
                ORDER BY s.id
            ) q
        );
        IF @to IS NULL BREAK;
        BEGIN TRANSACTION;
        INSERT INTO dbo.SaleSync (document_type, id)
        SELECT N'sale:new', @to
        WHERE EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'sale:new')
            AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'sale:new' AND s.id >= @to)
            AND EXISTS (
                SELECT 1
                FROM dbo.SaleSync s
                WHERE s.document_type = N'sale' AND s.id > @from AND s.id <= @to
                    AND COALESCE(s.sent_at, s.attempts_since) < @before AND s.next_attempt_at IS NULL AND s.lease_until = 0
                    AND NOT EXISTS (SELECT 1 FROM dbo.SalesInvoices d WHERE d.id = s.id)
            );
        DELETE FROM dbo.SaleSync
        WHERE document_type = N'sale' AND id > @from AND id <= @to
            AND COALESCE(sent_at, attempts_since) < @before AND next_attempt_at IS NULL AND lease_until = 0
            AND NOT EXISTS (SELECT 1 FROM dbo.SalesInvoices d WHERE d.id = SaleSync.id);
        SET @done = @done + @@ROWCOUNT;
        COMMIT;
        SET @from = @to;
        RAISERROR(N'%d rows of archived dbo.SalesInvoices forgotten', 0, 1, @done) WITH NOWAIT;
    END;
END;
GO
IF OBJECT_ID(N'dbo.PurchaseReceipts') IS NOT NULL
BEGIN
    DECLARE @before BIGINT =
        (CAST(DATEDIFF(SECOND, '2000-01-01', SYSUTCDATETIME()) AS BIGINT) + 946684800) * 1000
        - CAST(N'0$(KEEP_DAYS)' AS BIGINT) * 86400000;
    DECLARE @from BIGINT = (SELECT MIN(s.id) FROM dbo.SaleSync s WHERE s.document_type = N'purchase_receipt') - 1;
    DECLARE @to BIGINT, @done INT = 0;
    WHILE 1 = 1
    BEGIN
        SET @to = (
            SELECT MAX(q.id)
            FROM (
                SELECT TOP (1000) s.id
                FROM dbo.SaleSync s
                WHERE s.document_type = N'purchase_receipt' AND s.id > @from
                ORDER BY s.id
            ) q
        );
        IF @to IS NULL BREAK;
        BEGIN TRANSACTION;
        INSERT INTO dbo.SaleSync (document_type, id)
        SELECT N'purchase_receipt:new', @to
        WHERE EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'purchase_receipt:new')
            AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'purchase_receipt:new' AND s.id >= @to)
            AND EXISTS (
                SELECT 1
                FROM dbo.SaleSync s
                WHERE s.document_type = N'purchase_receipt' AND s.id > @from AND s.id <= @to
                    AND COALESCE(s.sent_at, s.attempts_since) < @before AND s.next_attempt_at IS NULL AND s.lease_until = 0
                    AND NOT EXISTS (SELECT 1 FROM dbo.PurchaseReceipts d WHERE d.id = s.id)
            );
        DELETE FROM dbo.SaleSync
        WHERE document_type = N'purchase_receipt' AND id > @from AND id <= @to
            AND COALESCE(sent_at, attempts_since) < @before AND next_attempt_at IS NULL AND lease_until = 0
            AND NOT EXISTS (SELECT 1 FROM dbo.PurchaseReceipts d WHERE d.id = SaleSync.id);
        SET @done = @done + @@ROWCOUNT;
        COMMIT;
        SET @from = @to;
        RAISERROR(N'%d rows of archived dbo.PurchaseReceipts forgotten', 0, 1, @done) WITH NOWAIT;
    END;
END;
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips') IS NOT NULL
BEGIN
    DECLARE @before BIGINT =
        (CAST(DATEDIFF(SECOND, '2000-01-01', SYSUTCDATETIME()) AS BIGINT) + 946684800) * 1000
        - CAST(N'0$(KEEP_DAYS)' AS BIGINT) * 86400000;
    DECLARE @from BIGINT = (SELECT MIN(s.id) FROM dbo.SaleSync s WHERE s.document_type = N'goods_issue') - 1;
    DECLARE @to BIGINT, @done INT = 0;
    WHILE 1 = 1
    BEGIN
        SET @to = (
            SELECT MAX(q.id)
            FROM (
                SELECT TOP (1000) s.id
                FROM dbo.SaleSync s
                WHERE s.document_type = N'goods_issue' AND s.id > @from
                ORDER BY s.id
            ) q
        );
        IF @to IS NULL BREAK;
        BEGIN TRANSACTION;
        INSERT INTO dbo.SaleSync (document_type, id)
        SELECT N'goods_issue:new', @to
        WHERE EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'goods_issue:new')
            AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'goods_issue:new' AND s.id >= @to)
            AND EXISTS (
                SELECT 1
                FROM dbo.SaleSync s
                WHERE s.document_type = N'goods_issue' AND s.id > @from AND s.id <= @to
                    AND COALESCE(s.sent_at, s.attempts_since) < @before AND s.next_attempt_at IS NULL AND s.lease_until = 0
                    AND NOT EXISTS (SELECT 1 FROM dbo.GoodsIssueSlips d WHERE d.id = s.id)
            );
        DELETE FROM dbo.SaleSync
        WHERE document_type = N'goods_issue' AND id > @from AND id <= @to
            AND COALESCE(sent_at, attempts_since) < @before AND next_attempt_at IS NULL AND lease_until = 0
            AND NOT EXISTS (SELECT 1 FROM dbo.GoodsIssueSlips d WHERE d.id = SaleSync.id);
        SET @done = @done + @@ROWCOUNT;
        COMMIT;
        SET @from = @to;
        RAISERROR(N'%d rows of archived dbo.GoodsIssueSlips forgotten', 0, 1, @done) WITH NOWAIT;
    END;
END;
GO
