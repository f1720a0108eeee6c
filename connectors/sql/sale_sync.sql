-- dbo.SaleSync: what the stream processor knows of each document, beside the till's own tables.
-- Microsoft SQL Server 2008 R2 or later, any edition. Run it in the sales database; it may be run again.
-- Locks: none on the tables of the tills; where it is run beside workers, these wait while an index is made.
-- Rights: only the worker's login needs SELECT, INSERT and UPDATE on it.
-- All times are UTC milliseconds since 1970: the same on every server, and no driver converts them.

IF OBJECT_ID(N'dbo.SaleSync', N'U') IS NULL
CREATE TABLE dbo.SaleSync (
    -- The kind of document ('sale'), and the primary key of its row in the till's table.
    -- One row more, of the kind 'sale:new', is the cut-over mark of CAPTURE=polling: sales with higher ids that have no
    -- row here are new, and created without a look-up.
    document_type   NVARCHAR(20)  NOT NULL,
    id              BIGINT        NOT NULL,
    -- Number of the last claim: of two decisions about a document, the one with the higher attempt is the later.
    attempt         INT           NOT NULL DEFAULT 0,
    -- Who made that claim; read back to see whose it is.
    owner           NVARCHAR(64)  NULL,
    -- Until then nobody else may work on the document. 0: nobody does.
    lease_until     BIGINT        NOT NULL DEFAULT 0,
    -- What the national system may hold. NULL: nothing, as far as is known. A hash (SHA-256 of a body, hex):
    -- only that version. '*': one of several versions. Whatever is not NULL is looked up before it is sent again.
    sent_hash       NVARCHAR(64)  NULL,
    -- 1: the national system has accepted it at least once; asked for again, it is replaced (PUT).
    ever_accepted   INT           NOT NULL DEFAULT 0,
    -- The attempt whose decision stands in the till's row: an older decision, or the same told again, changes nothing.
    published_attempt    INT           NOT NULL DEFAULT 0,
    -- When the scheduler brings the document back. NULL: it waits for nothing. "Send now" is setting it to the present.
    next_attempt_at BIGINT        NULL,
    -- When a worker first saw the document pending: the time limit counts from here.
    attempts_since  BIGINT        NULL,
    -- Attempts at sending in this asking: how long the next pause is.
    tries           INT           NOT NULL DEFAULT 0,
    -- When a claim was last taken in order to send: what was sent before or during an outage of the national system is
    -- looked up for longer before it is sent again.
    sent_at         BIGINT        NULL,
    -- The moment on the last change event that asked for it again (the connector's clock, compared with its like alone):
    -- an event that is delivered twice is known by it.
    requested_at    BIGINT        NULL,
    -- Why it failed or waits: a stable code, as in the topic sale-status. NULL: nothing to say.
    reason_code     NVARCHAR(50)  NULL,
    -- HTTP status of the last answer that neither took nor refused the document.
    http_status     INT           NULL,
    -- Of the last refusal only: its attempt, the body that was sent, and the API's own words.
    -- Both texts may name people: they leave the database for the journal of failures and for nowhere else.
    refused_attempt INT           NULL,
    refused_body    NVARCHAR(MAX) NULL,
    refused_text   NVARCHAR(MAX) NULL,
    -- Of the version that was accepted last: digests of its rows, of its codes and of its body. NULL: unknown.
    sent_rows       NVARCHAR(64)  NULL,
    -- When it was noticed that the till has changed an accepted document, so that it would make another body now. NULL:
    -- it is as it was accepted, as far as is known.
    changed_at      BIGINT        NULL,
    -- 1: the last claim was taken in order to withdraw the document, not to send it.
    is_withdrawal   INT           NULL,
    -- The codes under which the version was accepted that the national system holds: it is withdrawn under these, even
    -- where the till has changed them since. NULL: none was accepted, or it was withdrawn.
    stored_facility_code NVARCHAR(50) NULL,
    -- The document's own code, likewise.
    stored_document_code NVARCHAR(50) NULL,
    CONSTRAINT PK_SaleSync PRIMARY KEY (document_type, id)
);

-- Earlier versions of this script did not make these columns.
IF COL_LENGTH(N'dbo.SaleSync', N'sent_rows') IS NULL
    ALTER TABLE dbo.SaleSync ADD sent_rows NVARCHAR(64) NULL;
IF COL_LENGTH(N'dbo.SaleSync', N'changed_at') IS NULL
    ALTER TABLE dbo.SaleSync ADD changed_at BIGINT NULL;
GO

-- An earlier version of this script made the id an INT.
IF EXISTS (
    SELECT 1
    FROM sys.columns
    WHERE object_id = OBJECT_ID(N'dbo.SaleSync') AND name = N'id' AND system_type_id = TYPE_ID(N'int')
)
BEGIN
    IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SaleSync') AND name = N'IX_SaleSync_reason')
        DROP INDEX IX_SaleSync_reason ON dbo.SaleSync;
    IF EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SaleSync') AND name = N'IX_SaleSync_changed')
        DROP INDEX IX_SaleSync_changed ON dbo.SaleSync;
    ALTER TABLE dbo.SaleSync DROP CONSTRAINT PK_SaleSync;
    ALTER TABLE dbo.SaleSync ALTER COLUMN id BIGINT NOT NULL;
    ALTER TABLE dbo.SaleSync ADD CONSTRAINT PK_SaleSync PRIMARY KEY (document_type, id);
END;

-- An earlier version of this script knew no withdrawals.
IF COL_LENGTH(N'dbo.SaleSync', N'is_withdrawal') IS NULL
ALTER TABLE dbo.SaleSync ADD
    is_withdrawal INT NULL, stored_facility_code NVARCHAR(50) NULL, stored_document_code NVARCHAR(50) NULL;

-- Statements on many rows lock those rows, never the table: claims go on beside them.
ALTER TABLE dbo.SaleSync SET (LOCK_ESCALATION = DISABLE);

-- What is due: asked by the scheduler every second or so.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SaleSync') AND name = N'IX_SaleSync_due')
CREATE INDEX IX_SaleSync_due ON dbo.SaleSync (document_type, next_attempt_at);

-- What fails or waits, and why: asked by the page and the metrics. (Every index here ends with the primary key; other
-- servers must be told.)
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SaleSync') AND name = N'IX_SaleSync_reason')
CREATE INDEX IX_SaleSync_reason ON dbo.SaleSync (document_type, reason_code, id);

-- What was changed after it was accepted: asked by the page and the metrics.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.SaleSync') AND name = N'IX_SaleSync_changed')
CREATE INDEX IX_SaleSync_changed ON dbo.SaleSync (document_type, changed_at, id);
