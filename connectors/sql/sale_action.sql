-- dbo.SaleAction: what people asked for: which sale was to be sent again or now, by whom, when. It is only added to.
-- Microsoft SQL Server 2008 R2 or later, any edition. Run it in the sales database; it may be run again.
-- Locks: none on the tables of the tills.
-- Rights: only the worker's login needs SELECT and INSERT on it (40_worker_login.sql gives them).

IF OBJECT_ID(N'dbo.SaleAction', N'U') IS NULL
CREATE TABLE dbo.SaleAction (
    -- The kind of document ('sale'), and the primary key of its row in the till's table.
    document_type NVARCHAR(20)  NOT NULL,
    id          BIGINT        NOT NULL,
    -- One request may be for many sales: all of them have its token.
    request     NVARCHAR(32)  NOT NULL,
    -- 'send_again': a failed sale was made pending. 'send_now': the due time of a waiting one was set to the present.
    action      NVARCHAR(20)  NOT NULL,
    -- Who asked: the name that was signed in with, or the account of whoever ran the command.
    actor       NVARCHAR(100) NOT NULL,
    -- UTC milliseconds since 1970.
    acted_at    BIGINT        NOT NULL,
    -- Why the sale had failed or was waiting then.
    reason_code NVARCHAR(50)  NULL,
    CONSTRAINT PK_SaleAction PRIMARY KEY (document_type, id, request)
);

-- An earlier version of this script made the id an INT.
IF EXISTS (
    SELECT 1
    FROM sys.columns
    WHERE object_id = OBJECT_ID(N'dbo.SaleAction') AND name = N'id' AND system_type_id = TYPE_ID(N'int')
)
BEGIN
    ALTER TABLE dbo.SaleAction DROP CONSTRAINT PK_SaleAction;
    ALTER TABLE dbo.SaleAction ALTER COLUMN id BIGINT NOT NULL;
    ALTER TABLE dbo.SaleAction ADD CONSTRAINT PK_SaleAction PRIMARY KEY (document_type, id, request);
END;
