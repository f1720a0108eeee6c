-- After the sales database was restored to an earlier moment, or dbo.SaleSync was lost, or another program sent sales
-- meanwhile: what was accepted since is held by the national system, but this database does not know it.
-- Run it before any worker is started again, after sale_sync.sql:
--   sqlcmd -S <server> -d <database> -b -I -i 50_after_restore.sql
-- It may be run again. Whatever is sent from then on is looked up first, at the price of one look-up each.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
GO

-- '*': some version may be held. What is known to have been accepted keeps its hash.
-- Attempts go on far above those that were told already, so that consumers of sale-status, who go by the higher one,
-- do not take a new decision for an old one. The three move together: they are compared with each other.
UPDATE dbo.SaleSync
SET sent_hash = COALESCE(sent_hash, N'*'),
    attempt = attempt + 1000,
    published_attempt = published_attempt + 1000,
    refused_attempt = refused_attempt + 1000;
GO

-- What is pending and not known at all, likewise: its change event, should it come once more, is then no news, and the
-- scheduler brings it.
INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, next_attempt_at)
SELECT N'sale', d.id, 1000, 1000, N'*', 0
FROM dbo.SalesInvoices d
WHERE d.status = N'PENDING_SYNC'
    AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'sale' AND s.id = d.id);
GO
IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NOT NULL
INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, next_attempt_at)
SELECT N'purchase_receipt', d.id, 1000, 1000, N'*', 0
FROM dbo.PurchaseReceipts d
WHERE d.status = N'PENDING_SYNC'
    AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'purchase_receipt' AND s.id = d.id);
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NOT NULL
INSERT INTO dbo.SaleSync (document_type, id, attempt, published_attempt, sent_hash, next_attempt_at)
SELECT N'goods_issue', d.id, 1000, 1000, N'*', 0
FROM dbo.GoodsIssueSlips d
WHERE d.status = N'PENDING_SYNC'
    AND NOT EXISTS (SELECT 1 FROM dbo.SaleSync s WHERE s.document_type = N'goods_issue' AND s.id = d.id);
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
