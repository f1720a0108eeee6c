-- Drops the indexes that 30_indexes.sql created on the till's tables, when this software is given up (docs/giving-up.md).
-- Run it in the sales database, after the workers were stopped for good and after closing time:
--   sqlcmd -S <server> -d <database> -b -I -i 91_indexes_off.sql
-- It may be run again. Indexes of the till's own, and those that 30_indexes.sql found there, stay.
-- Microsoft SQL Server 2008 R2 or later, any edition.
-- Locks: each table for a moment, until the index is gone. Where a till's transaction stays open for five seconds, it ends
-- with error 1222 instead of letting the others queue behind it: run it again.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
SET LOCK_TIMEOUT 5000;
GO

IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SalesInvoiceDetails') AND name = N'IX_SalesInvoiceDetails_invoice')
    DROP INDEX IX_SalesInvoiceDetails_invoice ON dbo.SalesInvoiceDetails;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SalesInvoices') AND name = N'IX_SalesInvoices_status_updated')
    DROP INDEX IX_SalesInvoices_status_updated ON dbo.SalesInvoices;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SalesInvoices') AND name = N'IX_SalesInvoices_shop')
    DROP INDEX IX_SalesInvoices_shop ON dbo.SalesInvoices;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.PurchaseReceiptDetails') AND name = N'IX_PurchaseReceiptDetails_receipt')
    DROP INDEX IX_PurchaseReceiptDetails_receipt ON dbo.PurchaseReceiptDetails;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.PurchaseReceipts') AND name = N'IX_PurchaseReceipts_status_updated')
    DROP INDEX IX_PurchaseReceipts_status_updated ON dbo.PurchaseReceipts;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.PurchaseReceipts') AND name = N'IX_PurchaseReceipts_shop')
    DROP INDEX IX_PurchaseReceipts_shop ON dbo.PurchaseReceipts;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.GoodsIssueSlipDetails') AND name = N'IX_GoodsIssueSlipDetails_slip')
    DROP INDEX IX_GoodsIssueSlipDetails_slip ON dbo.GoodsIssueSlipDetails;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.GoodsIssueSlips') AND name = N'IX_GoodsIssueSlips_status_updated')
    DROP INDEX IX_GoodsIssueSlips_status_updated ON dbo.GoodsIssueSlips;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.GoodsIssueSlips') AND name = N'IX_GoodsIssueSlips_shop')
    DROP INDEX IX_GoodsIssueSlips_shop ON dbo.GoodsIssueSlips;
IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.AccountShop') AND name = N'IX_AccountShop_shop')
    DROP INDEX IX_AccountShop_shop ON dbo.AccountShop;
GO
