-- The worker's login: it reads documents and accounts, and writes how each document ended. It has the rights for that, no other.
-- Run it in the sales database after the other scripts. Name and password are taken from the environment:
--   WORKER_LOGIN, WORKER_PASSWORD   (a password without apostrophes)
--   sqlcmd -S <server> -d <database> -b -I -i 40_worker_login.sql
-- It may be run again; a changed password is then taken over. Stop first whoever logs in with the old one: enough refused
-- log-ins lock it (18486), and ALTER LOGIN ... WITH PASSWORD = ... UNLOCK opens it again.
-- Locks: only what describes logins, users and rights, for milliseconds.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'dbo.SaleSync', N'U') IS NULL
    RAISERROR(N'Run sale_sync.sql in this database first.', 16, 1);
IF OBJECT_ID(N'dbo.SaleAction', N'U') IS NULL
    RAISERROR(N'Run sale_action.sql in this database first.', 16, 1);
GO

-- Its SID is made from its name, so that it is the same on every replica of an availability group, and on the server to
-- which the database is restored: the user in the database then belongs to the login there, too.
DECLARE @sid VARBINARY(85) = CAST(HASHBYTES('SHA1', N'sale streams/' + LOWER(N'$(WORKER_LOGIN)')) AS BINARY(16));
IF SUSER_ID(N'$(WORKER_LOGIN)') IS NULL
BEGIN
    DECLARE @create NVARCHAR(MAX) = N'CREATE LOGIN [$(WORKER_LOGIN)] WITH SID = '
        + CONVERT(NVARCHAR(100), @sid, 1) + N', PASSWORD = N' + QUOTENAME(N'$(WORKER_PASSWORD)', N);
    EXEC sys.sp_executesql @create;
END;
IF SUSER_SID(N'$(WORKER_LOGIN)') <> @sid
    PRINT N'Note: this login was made with another SID. With replicas: drop it on each, and run this script again there.';
IF EXISTS (
    SELECT 1
    FROM sys.sql_logins
    WHERE name = N'$(WORKER_LOGIN)' AND PWDCOMPARE(N'$(WORKER_PASSWORD)', password_hash) = 0
)
    ALTER LOGIN [$(WORKER_LOGIN)] WITH PASSWORD = N'$(WORKER_PASSWORD)';
GO

IF USER_ID(N'$(WORKER_LOGIN)') IS NULL
    CREATE USER [$(WORKER_LOGIN)] FOR LOGIN [$(WORKER_LOGIN)];
ALTER USER [$(WORKER_LOGIN)] WITH LOGIN = [$(WORKER_LOGIN)];
GO

-- The columns that its statements name: whatever else a till keeps there stays with the till. Together, so that a worker
-- that runs never finds itself without: an earlier version of this script gave it the whole tables.
BEGIN TRANSACTION;
REVOKE SELECT ON dbo.SalesInvoices FROM [$(WORKER_LOGIN)];
REVOKE SELECT ON dbo.SalesInvoiceDetails FROM [$(WORKER_LOGIN)];
REVOKE SELECT ON dbo.AccountShop FROM [$(WORKER_LOGIN)];
GRANT SELECT ON dbo.SalesInvoices (id, local_invoice_id, pharmacy_code, shop_pharmacy_code, status, national_invoice_id,
    sync_response_message, updated_at, created_at, national_prescription_id, sale_date, seller_name, customer_name)
    TO [$(WORKER_LOGIN)];
GRANT SELECT ON dbo.SalesInvoiceDetails (id, sales_invoice_id, drug_code, drug_name, lot_number, production_date,
    expiry_date, unit, concentration, dosage, route_of_administration, registration_number, quantity, unit_price,
    line_total, conversion_ratio)
    TO [$(WORKER_LOGIN)];
GRANT SELECT ON dbo.AccountShop (shop_pharmacy_code, account, password, shop_name, status) TO [$(WORKER_LOGIN)];
COMMIT;
-- Of the till's tables it can change these four columns, and neither add nor remove a row.
GRANT UPDATE ON dbo.SalesInvoices (status, national_invoice_id, sync_response_message, updated_at)
    TO [$(WORKER_LOGIN)];
-- Rows of dbo.SaleSync are never deleted.
GRANT SELECT, INSERT, UPDATE ON dbo.SaleSync TO [$(WORKER_LOGIN)];
-- Who asked for what is only added to.
GRANT SELECT, INSERT ON dbo.SaleAction TO [$(WORKER_LOGIN)];
GO

-- Purchase receipts and goods issues, where the database has their tables.
IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NOT NULL AND OBJECT_ID(N'dbo.PurchaseReceiptDetails', N'U') IS NOT NULL
BEGIN
    GRANT SELECT ON dbo.PurchaseReceipts (id, local_receipt_id, pharmacy_code, shop_pharmacy_code, status, national_receipt_id,
        sync_response_message, updated_at, created_at, receipt_date, receipt_type, supplier_name, notes)
        TO [$(WORKER_LOGIN)];
    GRANT SELECT ON dbo.PurchaseReceiptDetails (id, purchase_receipt_id, drug_code, drug_name, lot_number, expiry_date,
        registration_number, quantity, unit, production_date, unit_price)
        TO [$(WORKER_LOGIN)];
    GRANT UPDATE ON dbo.PurchaseReceipts (status, national_receipt_id, sync_response_message, updated_at)
        TO [$(WORKER_LOGIN)];
END;
GO
IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NOT NULL AND OBJECT_ID(N'dbo.GoodsIssueSlipDetails', N'U') IS NOT NULL
BEGIN
    GRANT SELECT ON dbo.GoodsIssueSlips (id, local_slip_id, pharmacy_code, shop_pharmacy_code, status, national_slip_id,
        sync_response_message, updated_at, created_at, issue_date, issue_type, recipient_name, notes)
        TO [$(WORKER_LOGIN)];
    GRANT SELECT ON dbo.GoodsIssueSlipDetails (id, goods_issue_slip_id, drug_code, drug_name, lot_number, expiry_date,
        registration_number, quantity, unit, unit_price)
        TO [$(WORKER_LOGIN)];
    GRANT UPDATE ON dbo.GoodsIssueSlips (status, national_slip_id, sync_response_message, updated_at)
        TO [$(WORKER_LOGIN)];
END;
GO
