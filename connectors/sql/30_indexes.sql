-- The indexes that the worker's questions need on the till's tables (those on dbo.SaleSync are in sale_sync.sql).
-- Run it in the sales database:
--   sqlcmd -S <server> -d <database> -b -I -i 30_indexes.sql
-- It may be run again, and makes none where some index of the till's already begins with the columns.
--
-- Locks: Enterprise and Developer edition make an index beside writers (ONLINE = ON): they are kept out for a moment at
-- its beginning and its end. Every other edition keeps writers out, so the tills, for as long as reading the table takes:
-- run it after closing time there, and try on a restored copy how long that is. Where a till's transaction stays open for
-- five seconds, it ends with error 1222 instead of letting the others queue behind it: run it again.
--
-- Plain ones on purpose. An index filtered on status = 'PENDING_SYNC' would be smaller, but SQL Server then refuses
-- every INSERT and UPDATE of a program that connects with QUOTED_IDENTIFIER or ANSI_NULLS off, as old tills do: a
-- smaller index is not worth a till that cannot sell.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
SET LOCK_TIMEOUT 5000;
GO

-- The lines of sales: read for each sale that is sent.
IF NOT EXISTS (
    SELECT 1
    FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.SalesInvoiceDetails') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'sales_invoice_id'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_SalesInvoiceDetails_invoice ON dbo.SalesInvoiceDetails (sales_invoice_id)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO

-- What is pending, of which shop: asked every second or so. How many ended when, and the newest failures: asked by
-- operators, with a million sales in the table. What has ended is found by updated_at, which is written with the end.
-- (SQL Server has the primary key in every index; named here, it puts the rows of one moment in order.)
IF NOT EXISTS (
    SELECT 1
    FROM sys.index_columns a
    JOIN sys.index_columns b ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.SalesInvoices') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'status' AND COL_NAME(b.object_id, b.column_id) = N'updated_at'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_SalesInvoices_status_updated ON dbo.SalesInvoices (status, updated_at, id, shop_pharmacy_code)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO

-- The same of one shop, and when its last sale was accepted, however long ago.
IF NOT EXISTS (
    SELECT 1
    FROM sys.index_columns a
    JOIN sys.index_columns b ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.SalesInvoices') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'shop_pharmacy_code' AND COL_NAME(b.object_id, b.column_id) = N'status'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_SalesInvoices_shop ON dbo.SalesInvoices (shop_pharmacy_code, status, updated_at)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO

-- An earlier version of this script made it; the two above do all that it did.
IF EXISTS (
    SELECT 1
    FROM sys.indexes
    WHERE object_id = OBJECT_ID(N'dbo.SalesInvoices') AND name = N'IX_SalesInvoices_status'
)
    DROP INDEX IX_SalesInvoices_status ON dbo.SalesInvoices;
GO

-- The same for purchase receipts and goods issues, where the database has their tables.
IF OBJECT_ID(N'dbo.PurchaseReceiptDetails', N'U') IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.PurchaseReceiptDetails') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'purchase_receipt_id'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_PurchaseReceiptDetails_receipt ON dbo.PurchaseReceiptDetails (purchase_receipt_id)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO
IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM sys.index_columns a
    JOIN sys.index_columns b ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.PurchaseReceipts') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'status' AND COL_NAME(b.object_id, b.column_id) = N'updated_at'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_PurchaseReceipts_status_updated ON dbo.PurchaseReceipts (status, updated_at, id, shop_pharmacy_code)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO
IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM sys.index_columns a
    JOIN sys.index_columns b ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.PurchaseReceipts') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'shop_pharmacy_code' AND COL_NAME(b.object_id, b.column_id) = N'status'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_PurchaseReceipts_shop ON dbo.PurchaseReceipts (shop_pharmacy_code, status, updated_at)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlipDetails', N'U') IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.GoodsIssueSlipDetails') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'goods_issue_slip_id'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_GoodsIssueSlipDetails_slip ON dbo.GoodsIssueSlipDetails (goods_issue_slip_id)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM sys.index_columns a
    JOIN sys.index_columns b ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.GoodsIssueSlips') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'status' AND COL_NAME(b.object_id, b.column_id) = N'updated_at'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_GoodsIssueSlips_status_updated ON dbo.GoodsIssueSlips (status, updated_at, id, shop_pharmacy_code)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NOT NULL AND NOT EXISTS (
    SELECT 1
    FROM sys.index_columns a
    JOIN sys.index_columns b ON b.object_id = a.object_id AND b.index_id = a.index_id AND b.key_ordinal = 2
    WHERE a.object_id = OBJECT_ID(N'dbo.GoodsIssueSlips') AND a.key_ordinal = 1
        AND COL_NAME(a.object_id, a.column_id) = N'shop_pharmacy_code' AND COL_NAME(b.object_id, b.column_id) = N'status'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_GoodsIssueSlips_shop ON dbo.GoodsIssueSlips (shop_pharmacy_code, status, updated_at)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO

-- The account of a shop.
IF NOT EXISTS (
    SELECT 1
    FROM sys.index_columns
    WHERE object_id = OBJECT_ID(N'dbo.AccountShop') AND key_ordinal = 1
        AND COL_NAME(object_id, column_id) = N'shop_pharmacy_code'
)
BEGIN
    DECLARE @sql NVARCHAR(MAX) =
        N'CREATE INDEX IX_AccountShop_shop ON dbo.AccountShop (shop_pharmacy_code)'
        + CASE WHEN CAST(SERVERPROPERTY(N'EngineEdition') AS INT) IN (3, 5, 8) THEN N' WITH (ONLINE = ON)' ELSE N'' END;
    EXEC sys.sp_executesql @sql;
END;
GO
