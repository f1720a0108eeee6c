-- Examines a point of sale's database before anything is changed: what would hinder the sending of its sales, or the
-- tills. It only reads, and locks nobody out. SQL Server 2008 R2 or later; a sysadmin runs it in the sales database, in
-- SSMS or with
--   sqlcmd -S <server> -d <database> -b -I -W -s "|" -i 00_check.sql
-- One line a finding, the worst first, with the action in both languages; Vietnamese without its marks, since sqlcmd
-- reads files in a code page of its own. `doctor` examines the same from the worker's side. What old servers lack is
-- asked by dynamic SQL, so that the script runs on all of them.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
SET LOCK_TIMEOUT 5000;

-- harm: 10 tills cannot sell, 20 no sale is sent, 30 some sales are not sent, 40 slow or risky, 90 for information.
IF OBJECT_ID(N'tempdb..#found') IS NOT NULL DROP TABLE #found;
CREATE TABLE #found (
    id INT IDENTITY PRIMARY KEY,
    harm INT NOT NULL,
    level NVARCHAR(10) NOT NULL,
    what NVARCHAR(200) NOT NULL,
    found NVARCHAR(1000) NULL,
    action_vi NVARCHAR(1000) NULL,
    action_en NVARCHAR(1000) NULL
);

DECLARE @version NVARCHAR(50) = CAST(SERVERPROPERTY(N'ProductVersion') AS NVARCHAR(50));
DECLARE @edition NVARCHAR(128) = CAST(SERVERPROPERTY(N'Edition') AS NVARCHAR(128));
DECLARE @major INT = CAST(PARSENAME(@version, 4) AS INT);
DECLARE @build INT = CAST(PARSENAME(@version, 2) AS INT);
DECLARE @engine INT = CAST(SERVERPROPERTY(N'EngineEdition') AS INT);
DECLARE @captures BIT = CASE
    WHEN @edition LIKE N'Express%' OR @engine = 4 THEN 0
    WHEN @engine IN (3, 5, 8) THEN 1
    WHEN @edition LIKE N'Web%' THEN 0
    WHEN @major > 13 OR (@major = 13 AND @build >= 4001) THEN 1
    ELSE 0 END;
DECLARE @sql NVARCHAR(MAX);

-- ---- the server ----

INSERT INTO #found (harm, level, what, found) VALUES (90, N'ok', N'version and edition', @version + N', ' + @edition);

IF @captures = 0
    INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
        40, N'warning', N'change data capture', N'this edition has none (' + @edition + N', ' + @version + N')',
        N'Dat CAPTURE=polling: chuong trinh tu hoi bang SalesInvoices. Khong can Kafka Connect.',
        N'Set CAPTURE=polling: the worker asks the table itself. Kafka Connect is not needed.');

IF @major < 11
    INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
        20, N'error', N'version', N'before SQL Server 2012: statements of the worker use OFFSET ... FETCH',
        N'Nang cap len SQL Server 2012 tro len (nen 2016 SP1).',
        N'Upgrade to SQL Server 2012 or later, better 2016 SP1.');

IF @captures = 1 AND @engine <> 5
    AND NOT EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE program_name LIKE N'SQLAgent%')
    INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
        20, N'error', N'SQL Server Agent', N'has no session on this server: it does not run, or has just started',
        N'Bat SQL Server Agent va dat che do tu khoi dong cung may chu.',
        N'Start SQL Server Agent, and let it start with the server.');

IF CAST(SERVERPROPERTY(N'IsIntegratedSecurityOnly') AS INT) = 1
    INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
        20, N'error', N'log-in mode', N'Windows alone: logins with passwords are refused (18456)',
        N'Server Properties > Security: chon SQL Server and Windows Authentication mode, roi khoi dong lai SQL Server.',
        N'Server Properties > Security: SQL Server and Windows Authentication mode; then restart SQL Server.');

IF CAST(SERVERPROPERTY(N'IsHadrEnabled') AS INT) = 1
BEGIN
    SET @sql = N'IF EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND replica_id IS NOT NULL)
        INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
            40, N''warning'', N''Always On'', N''this database belongs to an availability group'',
            N''Chay 10, 20 va 40 tren moi replica; tao login cung SID (CREATE LOGIN ... WITH SID); xem connectors/README.md.'',
            N''Run 10, 20 and 40 on every replica; give logins the same SID (CREATE LOGIN ... WITH SID); connectors/README.md.'')';
    EXEC sys.sp_executesql @sql;
END;

-- ---- the database ----

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'database owner', N'does not exist on this server: 10_capture_on.sql fails with 15517 or 22830',
    N'ALTER AUTHORIZATION ON DATABASE::' + QUOTENAME(d.name) + N' TO sa',
    N'ALTER AUTHORIZATION ON DATABASE::' + QUOTENAME(d.name) + N' TO sa'
FROM sys.databases d
WHERE d.database_id = DB_ID() AND SUSER_SNAME(d.owner_sid) IS NULL AND @captures = 1;

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT CASE WHEN d.log_reuse_wait_desc = N'REPLICATION' THEN 10 ELSE 90 END,
    CASE WHEN d.log_reuse_wait_desc = N'REPLICATION' THEN N'warning' ELSE N'ok' END,
    N'transaction log', d.recovery_model_desc + N', waits for ' + d.log_reuse_wait_desc,
    CASE WHEN d.log_reuse_wait_desc = N'REPLICATION'
        THEN N'Nhat ky chua duoc doc: neu cu the nay no se day va khong ban hang duoc (9002). Khoi dong Agent va job capture; cap cuu: 90_capture_off.sql.' END,
    CASE WHEN d.log_reuse_wait_desc = N'REPLICATION'
        THEN N'It waits to be captured: if that lasts it fills, and tills cannot sell (9002). Start Agent and the capture job; in an emergency 90_capture_off.sql.' END
FROM sys.databases d
WHERE d.database_id = DB_ID();

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 10, N'error', N'space for the log',
    f.name + N': ' + CAST(FILEPROPERTY(f.name, N'SpaceUsed') / 128 AS NVARCHAR(20)) + N' of ' + CAST(f.size / 128 AS NVARCHAR(20))
    + N' MB used, and it cannot grow',
    N'Cho tep nhat ky tang them, hoac sao luu nhat ky (BACKUP LOG) thuong xuyen hon.',
    N'Let the log file grow, or back the log up more often (BACKUP LOG).'
FROM sys.database_files f
WHERE f.type = 1 AND (f.growth = 0 OR (f.max_size > 0 AND f.size >= f.max_size))
    AND CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT) * 100 > CAST(f.size AS BIGINT) * 70;

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT CASE WHEN SUM(CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT)) / 128 > 9216 THEN 10 ELSE 90 END,
    CASE WHEN SUM(CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT)) / 128 > 9216 THEN N'error' ELSE N'ok' END,
    N'10 GB limit of Express', CAST(SUM(CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT)) / 128 AS NVARCHAR(20)) + N' of 10240 MB used',
    CASE WHEN SUM(CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT)) / 128 > 9216
        THEN N'Sap day: khi day khong ban hang duoc. Don du lieu cu hoac nang cap ban Standard.' END,
    CASE WHEN SUM(CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT)) / 128 > 9216
        THEN N'Nearly full: then nobody can sell. Remove old data, or upgrade to Standard.' END
FROM sys.database_files f
WHERE f.type = 0 AND @engine = 4
HAVING COUNT(*) > 0;

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 90, N'ok', N'row versions', N'snapshot isolation ' + LOWER(d.snapshot_isolation_state_desc) + N', read committed snapshot '
    + CASE WHEN d.is_read_committed_snapshot_on = 1 THEN N'on' ELSE N'off' END, NULL, NULL
FROM sys.databases d
WHERE d.database_id = DB_ID();

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 40, N'warning', N'snapshot isolation', N'is off: 10_capture_on.sql switches it on, and waits for open transactions',
    N'Chay 10_capture_on.sql sau gio dong cua.', N'Run 10_capture_on.sql after closing time.'
FROM sys.databases d
WHERE d.database_id = DB_ID() AND d.snapshot_isolation_state = 0 AND @captures = 1;

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 40, N'warning', N'replication', N'this database is published: its log reader captures, and a capture job is not allowed',
    N'Giu Log Reader Agent chay; 10_capture_on.sql tu bo qua job capture.',
    N'Keep the Log Reader Agent running; 10_capture_on.sql leaves the capture job out.'
FROM sys.databases d
WHERE d.database_id = DB_ID() AND d.is_published = 1;

-- ---- the tables of the point of sale ----

DECLARE @needed TABLE (
    tab SYSNAME NOT NULL,
    col SYSNAME NOT NULL,
    used_as NVARCHAR(10) NOT NULL, -- key, text, amount, day; flag: 1 means yes; moment: compared with the clock; any: not sent
    written BIT NOT NULL
);
INSERT INTO @needed (tab, col, used_as, written) VALUES
    (N'SalesInvoices', N'id', N'key', 0),
    (N'SalesInvoices', N'local_invoice_id', N'text', 0),
    (N'SalesInvoices', N'national_invoice_id', N'text', 1),
    (N'SalesInvoices', N'pharmacy_code', N'text', 0),
    (N'SalesInvoices', N'shop_pharmacy_code', N'text', 0),
    (N'SalesInvoices', N'national_prescription_id', N'text', 0),
    (N'SalesInvoices', N'sale_date', N'day', 0),
    (N'SalesInvoices', N'seller_name', N'text', 0),
    (N'SalesInvoices', N'customer_name', N'text', 0),
    (N'SalesInvoices', N'status', N'text', 1),
    (N'SalesInvoices', N'sync_response_message', N'text', 1),
    (N'SalesInvoices', N'created_at', N'moment', 0),
    (N'SalesInvoices', N'updated_at', N'moment', 1),
    (N'SalesInvoiceDetails', N'id', N'any', 0),
    (N'SalesInvoiceDetails', N'sales_invoice_id', N'key', 0),
    (N'SalesInvoiceDetails', N'drug_code', N'text', 0),
    (N'SalesInvoiceDetails', N'drug_name', N'text', 0),
    (N'SalesInvoiceDetails', N'lot_number', N'text', 0),
    (N'SalesInvoiceDetails', N'production_date', N'day', 0),
    (N'SalesInvoiceDetails', N'expiry_date', N'day', 0),
    (N'SalesInvoiceDetails', N'unit', N'text', 0),
    (N'SalesInvoiceDetails', N'concentration', N'text', 0),
    (N'SalesInvoiceDetails', N'dosage', N'text', 0),
    (N'SalesInvoiceDetails', N'route_of_administration', N'text', 0),
    (N'SalesInvoiceDetails', N'registration_number', N'text', 0),
    (N'SalesInvoiceDetails', N'quantity', N'amount', 0),
    (N'SalesInvoiceDetails', N'unit_price', N'amount', 0),
    (N'SalesInvoiceDetails', N'line_total', N'amount', 0),
    (N'SalesInvoiceDetails', N'conversion_ratio', N'amount', 0),
    (N'AccountShop', N'shop_pharmacy_code', N'text', 0),
    (N'AccountShop', N'account', N'text', 0),
    (N'AccountShop', N'password', N'text', 0),
    (N'AccountShop', N'shop_name', N'text', 0),
    (N'AccountShop', N'status', N'flag', 0);

DECLARE @columns TABLE (
    tab SYSNAME NOT NULL,
    col SYSNAME NOT NULL,
    used_as NVARCHAR(10) NOT NULL,
    written BIT NOT NULL,
    type SYSNAME NULL,
    length INT NULL,
    code_page INT NULL,
    shown NVARCHAR(300) NULL
);
INSERT INTO @columns (tab, col, used_as, written, type, length, code_page, shown)
SELECT n.tab, n.col, n.used_as, n.written, LOWER(c.DATA_TYPE),
    CASE WHEN c.CHARACTER_MAXIMUM_LENGTH BETWEEN 1 AND 999999999 THEN c.CHARACTER_MAXIMUM_LENGTH END,
    CASE WHEN c.DATA_TYPE IN (N'char', N'varchar', N'text')
        THEN CAST(COLLATIONPROPERTY(c.COLLATION_NAME, N'CodePage') AS INT) END,
    UPPER(c.DATA_TYPE) COLLATE DATABASE_DEFAULT
    + COALESCE(N'(' + CASE WHEN c.CHARACTER_MAXIMUM_LENGTH = -1 THEN N'MAX' ELSE CAST(c.CHARACTER_MAXIMUM_LENGTH AS NVARCHAR(12)) END + N')', N'')
    + CASE WHEN c.DATA_TYPE IN (N'decimal', N'numeric')
        THEN N'(' + CAST(c.NUMERIC_PRECISION AS NVARCHAR(12)) + N',' + CAST(c.NUMERIC_SCALE AS NVARCHAR(12)) + N')' ELSE N'' END
    + COALESCE(N' ' + c.COLLATION_NAME COLLATE DATABASE_DEFAULT, N'')
FROM @needed n
LEFT JOIN INFORMATION_SCHEMA.COLUMNS c ON c.TABLE_SCHEMA = N'dbo'
    AND c.TABLE_NAME COLLATE DATABASE_DEFAULT = n.tab AND c.COLUMN_NAME COLLATE DATABASE_DEFAULT = n.col;

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + t.tab, N'is missing, or is neither a table nor a view',
    N'Chon dung CSDL ban hang (-d), hoac hoi nha cung cap phan mem.', N'Name the sales database (-d), or ask the vendor.'
FROM (SELECT DISTINCT tab FROM @needed) t
WHERE OBJECT_ID(N'dbo.' + t.tab, N'U') IS NULL AND OBJECT_ID(N'dbo.' + t.tab, N'V') IS NULL;

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + tab + N'.' + col, N'is missing', N'Yeu cau nha cung cap phan mem them cot nay.', N'Ask the vendor for this column.'
FROM @columns
WHERE type IS NULL AND OBJECT_ID(N'dbo.' + tab) IS NOT NULL;

-- name: types with which every sale would fail
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + tab + N'.' + col, N'is ' + shown + N', used as ' + used_as,
    N'Yeu cau nha cung cap doi kieu cot: docs/column-types.md.', N'Ask the vendor to change the type: docs/column-types.md.'
FROM @columns
WHERE (used_as = N'key' AND type NOT IN (N'tinyint', N'smallint', N'int', N'bigint'))
    OR (used_as = N'text' AND type NOT IN (N'char', N'varchar', N'nchar', N'nvarchar', N'text', N'ntext'))
    OR (used_as = N'amount' AND type NOT IN (N'tinyint', N'smallint', N'int', N'bigint', N'decimal', N'numeric', N'money',
        N'smallmoney', N'float', N'real', N'char', N'varchar', N'nchar', N'nvarchar', N'text', N'ntext'))
    OR (used_as = N'flag' AND type NOT IN (N'bit', N'tinyint', N'smallint', N'int', N'bigint', N'decimal', N'numeric',
        N'money', N'smallmoney'))
    OR (used_as = N'day' AND type NOT IN (N'date', N'smalldatetime', N'datetime', N'datetime2', N'char', N'varchar',
        N'nchar', N'nvarchar', N'text', N'ntext'))
    OR (used_as = N'moment' AND type NOT IN (N'smalldatetime', N'datetime', N'datetime2'));

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + tab + N'.' + col, N'is ' + shown + N', too short for PENDING_SYNC and SYNC_SUCCESS',
    N'Tang do dai toi thieu 12 ky tu.', N'Make it at least 12 letters long.'
FROM @columns
WHERE tab = N'SalesInvoices' AND col = N'status' AND length < 12;

-- name: types that lose something
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 30, N'warning', N'dbo.' + tab + N'.' + col, N'is ' + shown + N': a longer national id is not cut, its row would stay PENDING_SYNC',
    N'Tang do dai len 100 ky tu.', N'Make it 100 letters long.'
FROM @columns
WHERE col = N'national_invoice_id' AND length < 100
UNION ALL
SELECT 30, N'warning', N'dbo.' + tab + N'.' + col, N'is ' + shown + N', too short for PENDING_CANCEL: no sale can be withdrawn',
    N'Tang do dai toi thieu 14 ky tu.', N'Make it at least 14 letters long.'
FROM @columns
WHERE tab = N'SalesInvoices' AND col = N'status' AND length BETWEEN 12 AND 13
UNION ALL
SELECT 40, N'warning', N'dbo.' + tab + N'.' + col, N'is ' + shown + N': reasons are cut at a word',
    N'Doi thanh NVARCHAR(MAX), hoac doc ly do tren trang theo doi.', N'Make it NVARCHAR(MAX), or read reasons on the page.'
FROM @columns
WHERE col = N'sync_response_message' AND length < 1500
UNION ALL
SELECT 40, N'warning', N'dbo.' + tab + N'.' + col, N'is ' + shown + N': Vietnamese letters become ? when the till writes them; reasons are written without their marks',
    N'Yeu cau nha cung cap doi thanh NVARCHAR.', N'Ask the vendor to make it NVARCHAR.'
FROM @columns
WHERE used_as = N'text' AND code_page NOT IN (1258, 65001)
    AND RIGHT(col, 5) <> N'_code' AND RIGHT(col, 3) <> N'_id' AND RIGHT(col, 7) <> N'_number'
    AND col NOT IN (N'status', N'account', N'password', N'unit', N'shop_name')
UNION ALL
SELECT 40, N'warning', N'dbo.' + tab + N'.' + col, N'is ' + shown + N', filled with blanks, which are sent',
    N'Yeu cau nha cung cap doi thanh NVARCHAR.', N'Ask the vendor to make it NVARCHAR.'
FROM @columns
WHERE used_as = N'text' AND (written = 0 OR col = N'status') AND type IN (N'char', N'nchar')
UNION ALL
SELECT 40, N'warning', N'dbo.' + tab + N'.' + col, N'is REAL, which holds seven digits',
    N'Yeu cau nha cung cap doi thanh DECIMAL(18,2).', N'Ask the vendor to make it DECIMAL(18,2).'
FROM @columns
WHERE used_as = N'amount' AND type = N'real'
UNION ALL
SELECT 30, N'warning', N'dbo.' + tab + N'.' + col, N'is ' + shown + N', used as ' + used_as + N': taken only where it is plain (12.5, 2026-11-23)',
    N'Yeu cau nha cung cap dung DECIMAL va DATE.', N'Ask the vendor to use DECIMAL and DATE.'
FROM @columns
WHERE used_as IN (N'amount', N'day') AND type IN (N'char', N'varchar', N'nchar', N'nvarchar', N'text', N'ntext');

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + o.name + N'.id', N'is INT, narrower than dbo.SalesInvoices.id, which is BIGINT',
    N'Dung worker roi chay lai sale_sync.sql va sale_action.sql.', N'Stop the workers; run sale_sync.sql and sale_action.sql again.'
FROM sys.objects o
JOIN sys.columns c ON c.object_id = o.object_id AND c.name = N'id' AND c.system_type_id = TYPE_ID(N'int')
WHERE o.object_id IN (OBJECT_ID(N'dbo.SaleSync'), OBJECT_ID(N'dbo.SaleAction'))
    AND EXISTS (SELECT 1 FROM @columns WHERE tab = N'SalesInvoices' AND col = N'id' AND type = N'bigint');

INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 40, N'warning', N'dbo.' + t.tab, N'has no primary key',
    N'Yeu cau nha cung cap them khoa chinh tren cot id.', N'Ask the vendor for a primary key on id.'
FROM (SELECT N'SalesInvoices' AS tab UNION ALL SELECT N'SalesInvoiceDetails') t
WHERE OBJECT_ID(N'dbo.' + t.tab, N'U') IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM sys.indexes i WHERE i.object_id = OBJECT_ID(N'dbo.' + t.tab) AND i.is_primary_key = 1);

-- A trigger written for one row works wrongly where a statement changes a hundred, and one that reaches into another
-- database fails under the worker's login (916).
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 30, N'warning', N'trigger ' + t.name,
    N'runs at each update of dbo.SalesInvoices; the worker updates up to 128 rows in one statement'
    + CASE WHEN OBJECT_DEFINITION(t.object_id) LIKE N'%].[[]%].[[]%' OR OBJECT_DEFINITION(t.object_id) LIKE N'%.dbo.%'
        THEN N'; it may reach into another database' ELSE N'' END,
    N'Hoi nha cung cap: trigger co dung khi mot lenh sua nhieu dong, va voi login cua worker khong? Neu khong chac: WRITE_BACK_ROWS=1.',
    N'Ask the vendor: is it right when one statement changes many rows, and under the worker''s login? If unsure: WRITE_BACK_ROWS=1.'
FROM sys.triggers t
JOIN sys.trigger_events e ON e.object_id = t.object_id AND e.type_desc = N'UPDATE'
WHERE t.parent_id = OBJECT_ID(N'dbo.SalesInvoices') AND t.is_disabled = 0;

-- ---- change data capture ----

IF OBJECT_ID(N'cdc.change_tables', N'U') IS NOT NULL
BEGIN
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
    SELECT 20, N''error'', N''capture instance '' + c.capture_instance, N''captures a table that is not there any more'',
        N''Bang da bi doi ten hoac tao lai: chay 10_capture_on.sql, roi sys.sp_cdc_disable_table cho instance cu.'',
        N''The table was renamed or made again: run 10_capture_on.sql, then sys.sp_cdc_disable_table for the old one.''
    FROM cdc.change_tables c
    WHERE NOT EXISTS (SELECT 1 FROM sys.tables t WHERE t.object_id = c.source_object_id)
        OR (c.role_name = N''sale_capture'' AND c.source_object_id <> COALESCE(OBJECT_ID(N''dbo.SalesInvoices''), 0)
            AND c.capture_instance LIKE N''dbo[_]SalesInvoices[_]%'')';
    EXEC sys.sp_executesql @sql;
    INSERT INTO #found (harm, level, what, found, action_vi, action_en)
    SELECT 40, N'warning', N'TRUNCATE TABLE', N'is refused for captured tables (4711)',
        N'Hoi nha cung cap co dung TRUNCATE khi don du lieu khong; dung DELETE thay the.',
        N'Ask the vendor whether the sales software truncates tables; DELETE works.'
    FROM sys.tables t
    WHERE t.object_id = OBJECT_ID(N'dbo.SalesInvoices') AND t.is_tracked_by_cdc = 1;
END;

-- ---- what is waiting ----

IF NOT EXISTS (SELECT 1 FROM @columns WHERE tab = N'SalesInvoices' AND (type IS NULL AND col = N'status'
    OR COALESCE(type, N'') NOT IN (N'smalldatetime', N'datetime', N'datetime2') AND col = N'created_at'))
BEGIN
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
    SELECT CASE WHEN SUM(old) > 0 THEN 40 ELSE 90 END, CASE WHEN SUM(old) > 0 THEN N''warning'' ELSE N''ok'' END, N''pending sales'',
        CAST(COUNT_BIG(*) AS NVARCHAR(20)) + N'' PENDING_SYNC or PENDING_CANCEL, '' + CAST(COALESCE(SUM(old), 0) AS NVARCHAR(20))
        + N'' older than 3 days, the oldest of '' + COALESCE(CONVERT(NVARCHAR(16), MIN(created_at), 120), N''-''),
        CASE WHEN SUM(old) > 0 THEN N''Tat ca se duoc gui: danh dau truoc nhung hoa don khong can gui. docs/cut-over.md.'' END,
        CASE WHEN SUM(old) > 0 THEN N''All of them will be sent: first change the status of those that must not be. docs/cut-over.md.'' END
    FROM (
        SELECT created_at, CASE WHEN created_at < DATEADD(DAY, -3, GETDATE()) THEN 1 ELSE 0 END AS old
        FROM dbo.SalesInvoices WITH (READUNCOMMITTED)
        WHERE status IN (N''PENDING_SYNC'', N''PENDING_CANCEL'')
    ) p';
    EXEC sys.sp_executesql @sql;
END;

INSERT INTO #found (harm, level, what, found) VALUES (90, N'ok', N'examined', DB_NAME() + N' on ' + @@SERVERNAME);

SELECT ROW_NUMBER() OVER (ORDER BY harm, CASE level WHEN N'error' THEN 1 WHEN N'warning' THEN 2 ELSE 3 END, id) AS [order],
    level, what, found, COALESCE(action_vi, N'') AS action_vi, COALESCE(action_en, N'') AS action_en
FROM #found
ORDER BY [order];
DROP TABLE #found;
GO
