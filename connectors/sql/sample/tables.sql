-- The till's own tables, as point-of-sale software makes them. For trying things out: a real till has them already.

SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'dbo.SalesInvoices', N'U') IS NULL
CREATE TABLE dbo.SalesInvoices (
    id                       INT IDENTITY  NOT NULL CONSTRAINT PK_SalesInvoices PRIMARY KEY,
    local_invoice_id         NVARCHAR(50)  NOT NULL,
    national_invoice_id      NVARCHAR(100) NULL,
    pharmacy_code            NVARCHAR(50)  NOT NULL,
    shop_pharmacy_code       NVARCHAR(50)  NOT NULL,
    national_prescription_id NVARCHAR(50)  NULL,
    sale_date                DATETIME      NOT NULL,
    seller_name              NVARCHAR(50)  NULL,
    customer_name            NVARCHAR(50)  NULL,
    status                   NVARCHAR(20)  NOT NULL,
    sync_response_message    NVARCHAR(MAX) NULL,
    created_at               DATETIME2(3)  NOT NULL,
    updated_at               DATETIME2(3)  NOT NULL,
    CONSTRAINT UQ_SalesInvoices_codes UNIQUE (local_invoice_id, pharmacy_code)
);
GO

IF OBJECT_ID(N'dbo.SalesInvoiceDetails', N'U') IS NULL
CREATE TABLE dbo.SalesInvoiceDetails (
    id                      INT IDENTITY  NOT NULL CONSTRAINT PK_SalesInvoiceDetails PRIMARY KEY,
    sales_invoice_id        INT           NOT NULL REFERENCES dbo.SalesInvoices (id),
    drug_code               NVARCHAR(50)  NOT NULL,
    drug_name               NVARCHAR(500) NOT NULL,
    lot_number              NVARCHAR(50)  NOT NULL,
    production_date         DATE          NULL,
    expiry_date             DATE          NOT NULL,
    unit                    NVARCHAR(50)  NOT NULL,
    concentration           NVARCHAR(500) NOT NULL,
    dosage                  NVARCHAR(MAX) NOT NULL,
    route_of_administration NVARCHAR(200) NULL,
    registration_number     NVARCHAR(50)  NULL,
    quantity                DECIMAL(18,2) NOT NULL,
    unit_price              DECIMAL(18,2) NOT NULL,
    line_total              DECIMAL(18,2) NOT NULL,
    conversion_ratio        DECIMAL(18,2) NOT NULL
);
GO

IF OBJECT_ID(N'dbo.PurchaseReceipts', N'U') IS NULL
CREATE TABLE dbo.PurchaseReceipts (
    id                    INT IDENTITY  NOT NULL CONSTRAINT PK_PurchaseReceipts PRIMARY KEY,
    local_receipt_id      NVARCHAR(50)  NOT NULL,
    national_receipt_id   NVARCHAR(100) NULL,
    pharmacy_code         NVARCHAR(50)  NOT NULL,
    shop_pharmacy_code    NVARCHAR(50)  NOT NULL,
    receipt_date          DATETIME      NOT NULL,
    receipt_type          INT           NOT NULL,
    supplier_name         NVARCHAR(500) NULL,
    notes                 NVARCHAR(MAX) NULL,
    status                NVARCHAR(20)  NOT NULL,
    sync_response_message NVARCHAR(MAX) NULL,
    created_at            DATETIME2(3)  NOT NULL,
    updated_at            DATETIME2(3)  NOT NULL,
    CONSTRAINT UQ_PurchaseReceipts_codes UNIQUE (local_receipt_id, pharmacy_code)
);
GO

IF OBJECT_ID(N'dbo.PurchaseReceiptDetails', N'U') IS NULL
CREATE TABLE dbo.PurchaseReceiptDetails (
    id                  INT IDENTITY  NOT NULL CONSTRAINT PK_PurchaseReceiptDetails PRIMARY KEY,
    purchase_receipt_id INT           NOT NULL REFERENCES dbo.PurchaseReceipts (id),
    drug_code           NVARCHAR(50)  NOT NULL,
    drug_name           NVARCHAR(500) NOT NULL,
    lot_number          NVARCHAR(50)  NOT NULL,
    production_date     DATE          NULL,
    expiry_date         DATE          NOT NULL,
    registration_number NVARCHAR(50)  NOT NULL,
    quantity            DECIMAL(18,2) NOT NULL,
    unit_price          DECIMAL(18,2) NULL,
    unit                NVARCHAR(200) NOT NULL
);
GO

IF OBJECT_ID(N'dbo.GoodsIssueSlips', N'U') IS NULL
CREATE TABLE dbo.GoodsIssueSlips (
    id                    INT IDENTITY  NOT NULL CONSTRAINT PK_GoodsIssueSlips PRIMARY KEY,
    local_slip_id         NVARCHAR(50)  NOT NULL,
    national_slip_id      NVARCHAR(100) NULL,
    pharmacy_code         NVARCHAR(50)  NOT NULL,
    shop_pharmacy_code    NVARCHAR(50)  NOT NULL,
    issue_date            DATETIME      NOT NULL,
    issue_type            INT           NOT NULL,
    recipient_name        NVARCHAR(500) NULL,
    notes                 NVARCHAR(MAX) NOT NULL,
    status                NVARCHAR(20)  NOT NULL,
    sync_response_message NVARCHAR(MAX) NULL,
    created_at            DATETIME2(3)  NOT NULL,
    updated_at            DATETIME2(3)  NOT NULL,
    CONSTRAINT UQ_GoodsIssueSlips_codes UNIQUE (local_slip_id, pharmacy_code)
);
GO

IF OBJECT_ID(N'dbo.GoodsIssueSlipDetails', N'U') IS NULL
CREATE TABLE dbo.GoodsIssueSlipDetails (
    id                  INT IDENTITY  NOT NULL CONSTRAINT PK_GoodsIssueSlipDetails PRIMARY KEY,
    goods_issue_slip_id INT           NOT NULL REFERENCES dbo.GoodsIssueSlips (id),
    drug_code           NVARCHAR(50)  NOT NULL,
    drug_name           NVARCHAR(500) NOT NULL,
    lot_number          NVARCHAR(50)  NOT NULL,
    production_date     DATE          NULL,
    expiry_date         DATE          NOT NULL,
    registration_number NVARCHAR(50)  NOT NULL,
    quantity            DECIMAL(18,2) NOT NULL,
    unit_price          DECIMAL(18,2) NOT NULL,
    unit                NVARCHAR(200) NOT NULL
);
GO

IF OBJECT_ID(N'dbo.AccountShop', N'U') IS NULL
CREATE TABLE dbo.AccountShop (
    shop_pharmacy_code NVARCHAR(50)  NULL,
    pharmacy_code      NVARCHAR(50)  NULL,
    account            NVARCHAR(50)  NULL,
    password           NVARCHAR(50)  NULL,
    shop_name          NVARCHAR(100) NULL,
    status             INT           NULL -- 1 active, 0 closed
);
GO
