-- After the sales database was restored to an earlier moment, or dbo.SaleSync was lost, or another program sent sales
-- meanwhile: what was accepted since is held by the national system, but this database does not know it.
-- Run it before any worker is started again, after sale_sync.sql:
--   sqlcmd -S <server> -d <database> -b -I -i 50_after_restore.sql
-- It may be run again, and where it was interrupted it has to be. Whatever is sent from then on is looked up first, at
-- the price of one look-up each.
--
-- Locks: 5,000 rows of dbo.SaleSync at a time, for as long as they take to be written; the log grows by no more than
-- one such step between two checkpoints or log back-ups. Tills may sell meanwhile: of their tables it only reads.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
GO

-- '*': some version may be held. What is known to have been accepted keeps its hash.
-- Attempts go on far above those that were told already, so that consumers of sale-status, who go by the higher one,
-- do not take a new decision for an old one. The three move together: they are compared with each other.
DECLARE @type NVARCHAR(20) = N'', @from BIGINT, @to BIGINT, @done INT = 0;
WHILE 1 = 1
BEGIN
    SET @type = (SELECT MIN(s.document_type) FROM dbo.SaleSync s WHERE s.document_type > @type);
    IF @type IS NULL BREAK;
    SET @from = (SELECT MIN(s.id) FROM dbo.SaleSync s WHERE s.document_type = @type) - 1;
    WHILE 1 = 1
    BEGIN
        SET @to = (
            SELECT MAX(q.id)
            FROM (
                SELECT TOP (5000) s.id FROM dbo.SaleSync s WHERE s.document_type = @type AND s.id > @from ORDER BY s.id
            ) q
        );
        IF @to IS NULL BREAK;
        UPDATE dbo.SaleSync
        SET sent_hash = COALESCE(sent_hash, N'*'),
            attempt = attempt + 1000,
            published_attempt = published_attempt + 1000,
            refused_attempt = refused_attempt + 1000
        WHERE document_type = @type AND id > @from AND id <= @to;
        SET @done = @done + @@ROWCOUNT;
        SET @from = @to;
        RAISERROR(N'%d rows of dbo.SaleSync raised', 0, 1, @done) WITH NOWAIT;
    END;
END;
GO

-- What is pending and not known at all, likewise: its change event, should it come once more, is then no news, and the
-- scheduler brings it.
IF OBJECT_ID(N'dbo.SalesInvoices', N'U') IS NOT NULL
BEGIN
    DECLARE @from BIGINT = (SELECT MIN(d.id) FROM dbo.SalesInvoices d) - 1, @to BIGINT, @done INT = 0;
    WHILE 1 = 1
    BEGIN
        SET @to = (
            SELECT MAX(q.id)
            FROM (
                SELECT TOP (5000) d.id
                FROM dbo.SalesInvoices d
                WHERE d.status IN (N'PENDING_SYNC', N'PENDING_CANCEL') AND d.id > @from
                ORDER BY d.id
            ) q
        );
        IF @to IS NULL BREAK;
        INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, next_attempt_at)
        SELECT N'sale', d.id, 1000, 1000, N'*', 0
        FROM dbo.SalesInvoices d
        WHERE d.status IN (N'PENDING_SYNC', N'PENDING_CANCEL') AND d.id > @from AND d.id <= @to
            AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'sale' AND s.id = d.id);
        SET @done = @done + @@ROWCOUNT;
        SET @from = @to;
        RAISERROR(N'%d pending rows of dbo.SalesInvoices added', 0, 1, @done) WITH NOWAIT;
    END;
END;
GO
IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NOT NULL
BEGIN
    DECLARE @from BIGINT = (SELECT MIN(d.id) FROM dbo.PurchaseReceipts d) - 1, @to BIGINT, @done INT = 0;
    WHILE 1 = 1
    BEGIN
        SET @to = (
            SELECT MAX(q.id)
            FROM (
                SELECT TOP (5000) d.id
                FROM dbo.PurchaseReceipts d
                WHERE d.status IN (N'PENDING_SYNC', N'PENDING_CANCEL') AND d.id > @from
                ORDER BY d.id
            ) q
        );
        IF @to IS NULL BREAK;
        INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, next_attempt_at)
        SELECT N'purchase_receipt', d.id, 1000, 1000, N'*', 0
        FROM dbo.PurchaseReceipts d
        WHERE d.status IN (N'PENDING_SYNC', N'PENDING_CANCEL') AND d.id > @from AND d.id <= @to
            AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'purchase_receipt' AND s.id = d.id);
        SET @done = @done + @@ROWCOUNT;
        SET @from = @to;
        RAISERROR(N'%d pending rows of dbo.PurchaseReceipts added', 0, 1, @done) WITH NOWAIT;
    END;
END;
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NOT NULL
BEGIN
    DECLARE @from BIGINT = (SELECT MIN(d.id) FROM dbo.GoodsIssueSlips d) - 1, @to BIGINT, @done INT = 0;
    WHILE 1 = 1
    BEGIN
        SET @to = (
            SELECT MAX(q.id)
            FROM (
                SELECT TOP (5000) d.id
                FROM dbo.GoodsIssueSlips d
                WHERE d.status IN (N'PENDING_SYNC', N'PENDING_CANCEL') AND d.id > @from
                ORDER BY d.id
            ) q
        );
        IF @to IS NULL BREAK;
        INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, next_attempt_at)
        SELECT N'goods_issue', d.id, 1000, 1000, N'*', 0
        FROM dbo.GoodsIssueSlips d
        WHERE d.status IN (N'PENDING_SYNC', N'PENDING_CANCEL') AND d.id > @from AND d.id <= @to
            AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'goods_issue' AND s.id = d.id);
        SET @done = @done + @@ROWCOUNT;
        SET @from = @to;
        RAISERROR(N'%d pending rows of dbo.GoodsIssueSlips added', 0, 1, @done) WITH NOWAIT;
    END;
END;
GO

-- With CAPTURE=polling a sale above the cut-over mark that is not known is taken for new: what is there by now is not.
INSERT INTO dbo.SaleSync (document_type, id)
SELECT N'sale:new', q.highest
FROM (SELECT MAX(d.id) AS highest FROM dbo.SalesInvoices d) q
WHERE q.highest IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'sale:new' AND s.id >= q.highest);
GO
IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NOT NULL
INSERT INTO dbo.SaleSync (document_type, id)
SELECT N'purchase_receipt:new', q.highest
FROM (SELECT MAX(d.id) AS highest FROM dbo.PurchaseReceipts d) q
WHERE q.highest IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'purchase_receipt:new' AND s.id >= q.highest);
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NOT NULL
INSERT INTO dbo.SaleSync (document_type, id)
SELECT N'goods_issue:new', q.highest
FROM (SELECT MAX(d.id) AS highest FROM dbo.GoodsIssueSlips d) q
WHERE q.highest IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'goods_issue:new' AND s.id >= q.highest);
GO

PRINT N'Whatever is sent from now on is looked up first.';
GO
