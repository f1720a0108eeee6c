-- The sales database of the local stack, SQLite. May be run again on a file that has it.
-- Others open the file attached as `dbo`: nothing in here may name a schema.

-- ---- the till's tables, column for column as in SQL Server (NVARCHAR(MAX) is TEXT here) ----

CREATE TABLE IF NOT EXISTS SalesInvoices (
    id                       INTEGER PRIMARY KEY AUTOINCREMENT,  -- INT IDENTITY: never given twice
    local_invoice_id         NVARCHAR(50)  NOT NULL,
    national_invoice_id      NVARCHAR(100) NULL,
    pharmacy_code            NVARCHAR(50)  NOT NULL,
    shop_pharmacy_code       NVARCHAR(50)  NOT NULL,
    national_prescription_id NVARCHAR(50)  NULL,
    sale_date                DATETIME      NOT NULL,
    seller_name              NVARCHAR(50)  NULL,
    customer_name            NVARCHAR(50)  NULL,
    status                   NVARCHAR(20)  NOT NULL,
    sync_response_message    TEXT          NULL,
    created_at               DATETIME2(3)  NOT NULL,
    updated_at               DATETIME2(3)  NOT NULL,
    UNIQUE (local_invoice_id, pharmacy_code)
);

CREATE TABLE IF NOT EXISTS SalesInvoiceDetails (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    sales_invoice_id        INT           NOT NULL REFERENCES SalesInvoices (id),
    drug_code               NVARCHAR(50)  NOT NULL,
    drug_name               NVARCHAR(500) NOT NULL,
    lot_number              NVARCHAR(50)  NOT NULL,
    production_date         DATE          NULL,
    expiry_date             DATE          NOT NULL,
    unit                    NVARCHAR(50)  NOT NULL,
    concentration           NVARCHAR(500) NOT NULL,
    dosage                  TEXT          NOT NULL,
    route_of_administration NVARCHAR(200) NULL,
    registration_number     NVARCHAR(50)  NULL,
    quantity                DECIMAL(18,2) NOT NULL,
    unit_price              DECIMAL(18,2) NOT NULL,
    line_total              DECIMAL(18,2) NOT NULL,
    conversion_ratio        DECIMAL(18,2) NOT NULL
);

CREATE TABLE IF NOT EXISTS PurchaseReceipts (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    local_receipt_id      NVARCHAR(50)  NOT NULL,
    national_receipt_id   NVARCHAR(100) NULL,
    pharmacy_code         NVARCHAR(50)  NOT NULL,
    shop_pharmacy_code    NVARCHAR(50)  NOT NULL,
    receipt_date          DATETIME      NOT NULL,
    receipt_type          INT           NOT NULL,
    supplier_name         NVARCHAR(500) NULL,
    notes                 TEXT          NULL,
    status                NVARCHAR(20)  NOT NULL,
    sync_response_message TEXT          NULL,
    created_at            DATETIME2(3)  NOT NULL,
    updated_at            DATETIME2(3)  NOT NULL,
    UNIQUE (local_receipt_id, pharmacy_code)
);

CREATE TABLE IF NOT EXISTS PurchaseReceiptDetails (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    purchase_receipt_id INT           NOT NULL REFERENCES PurchaseReceipts (id),
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

CREATE TABLE IF NOT EXISTS GoodsIssueSlips (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    local_slip_id         NVARCHAR(50)  NOT NULL,
    national_slip_id      NVARCHAR(100) NULL,
    pharmacy_code         NVARCHAR(50)  NOT NULL,
    shop_pharmacy_code    NVARCHAR(50)  NOT NULL,
    issue_date            DATETIME      NOT NULL,
    issue_type            INT           NOT NULL,
    recipient_name        NVARCHAR(500) NULL,
    notes                 TEXT          NOT NULL,
    status                NVARCHAR(20)  NOT NULL,
    sync_response_message TEXT          NULL,
    created_at            DATETIME2(3)  NOT NULL,
    updated_at            DATETIME2(3)  NOT NULL,
    UNIQUE (local_slip_id, pharmacy_code)
);

CREATE TABLE IF NOT EXISTS GoodsIssueSlipDetails (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    goods_issue_slip_id INT           NOT NULL REFERENCES GoodsIssueSlips (id),
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

CREATE TABLE IF NOT EXISTS AccountShop (
    shop_pharmacy_code NVARCHAR(50)  NULL,
    pharmacy_code      NVARCHAR(50)  NULL,
    account            NVARCHAR(50)  NULL,
    password           NVARCHAR(50)  NULL,
    shop_name          NVARCHAR(100) NULL,
    status             INT           NULL  -- 1 active, 0 closed
);

CREATE INDEX IF NOT EXISTS IX_SalesInvoiceDetails_invoice ON SalesInvoiceDetails (sales_invoice_id);
CREATE INDEX IF NOT EXISTS IX_SalesInvoices_status_updated ON SalesInvoices (status, updated_at, id, shop_pharmacy_code);
CREATE INDEX IF NOT EXISTS IX_SalesInvoices_shop ON SalesInvoices (shop_pharmacy_code, status, updated_at);
DROP INDEX IF EXISTS IX_SalesInvoices_status;  -- of an earlier version
CREATE INDEX IF NOT EXISTS IX_PurchaseReceiptDetails_receipt ON PurchaseReceiptDetails (purchase_receipt_id);
CREATE INDEX IF NOT EXISTS IX_PurchaseReceipts_status_updated ON PurchaseReceipts (status, updated_at, id, shop_pharmacy_code);
CREATE INDEX IF NOT EXISTS IX_PurchaseReceipts_shop ON PurchaseReceipts (shop_pharmacy_code, status, updated_at);
CREATE INDEX IF NOT EXISTS IX_GoodsIssueSlipDetails_slip ON GoodsIssueSlipDetails (goods_issue_slip_id);
CREATE INDEX IF NOT EXISTS IX_GoodsIssueSlips_status_updated ON GoodsIssueSlips (status, updated_at, id, shop_pharmacy_code);
CREATE INDEX IF NOT EXISTS IX_GoodsIssueSlips_shop ON GoodsIssueSlips (shop_pharmacy_code, status, updated_at);
CREATE INDEX IF NOT EXISTS IX_AccountShop_shop ON AccountShop (shop_pharmacy_code);

-- ---- ours; connectors/sql/sale_sync.sql is the same table for SQL Server and explains each column ----

CREATE TABLE IF NOT EXISTS SaleSync (
    document_type            NVARCHAR(20) NOT NULL,
    id              BIGINT       NOT NULL,
    attempt         INT          NOT NULL DEFAULT 0,
    owner           NVARCHAR(64) NULL,
    lease_until     BIGINT       NOT NULL DEFAULT 0,
    sent_hash       NVARCHAR(64) NULL,
    ever_accepted   INT          NOT NULL DEFAULT 0,
    published_attempt    INT          NOT NULL DEFAULT 0,
    next_attempt_at BIGINT       NULL,
    attempts_since  BIGINT       NULL,
    tries           INT          NOT NULL DEFAULT 0,
    sent_at         BIGINT       NULL,
    requested_at    BIGINT       NULL,
    reason_code     NVARCHAR(50) NULL,
    http_status     INT          NULL,
    refused_attempt INT          NULL,
    refused_body    TEXT         NULL,
    refused_text   TEXT         NULL,
    sent_rows       NVARCHAR(64) NULL,
    changed_at      BIGINT       NULL,
    is_withdrawal   INT          NULL,
    stored_facility_code NVARCHAR(50) NULL,
    stored_document_code NVARCHAR(50) NULL,
    PRIMARY KEY (document_type, id)
);

CREATE INDEX IF NOT EXISTS IX_SaleSync_due ON SaleSync (document_type, next_attempt_at);
CREATE INDEX IF NOT EXISTS IX_SaleSync_reason ON SaleSync (document_type, reason_code, id);
CREATE INDEX IF NOT EXISTS IX_SaleSync_changed ON SaleSync (document_type, changed_at, id);

-- connectors/sql/sale_action.sql explains it
CREATE TABLE IF NOT EXISTS SaleAction (
    document_type        NVARCHAR(20)  NOT NULL,
    id          BIGINT        NOT NULL,
    request     NVARCHAR(32)  NOT NULL,
    action      NVARCHAR(20)  NOT NULL,
    actor       NVARCHAR(100) NOT NULL,
    acted_at    BIGINT        NOT NULL,
    reason_code NVARCHAR(50)  NULL,
    PRIMARY KEY (document_type, id, request)
);

-- ---- change capture: stands in for SQL Server's CDC; `streams.local.capture_triggers` writes into it ----

CREATE TABLE IF NOT EXISTS local_changes (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, although rows leave: log positions are made of it
    changed_table TEXT   NOT NULL,
    op            TEXT   NOT NULL,                    -- c, u, d
    id            INT    NOT NULL,
    before        TEXT   NULL,                        -- JSON
    after         TEXT   NULL,                        -- JSON
    ts_ms         BIGINT NOT NULL                     -- UTC milliseconds since 1970
);
