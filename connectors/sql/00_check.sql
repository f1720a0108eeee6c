-- Examines a point of sale's database before anything is changed: what would hinder the sending of its sales, or the
-- tills. It only reads, and locks nobody out. SQL Server 2008 R2 or later; a sysadmin runs it in the sales database, in
-- SSMS or with
--   sqlcmd -S <server> -d <database> -b -I -W -s "|" -i 00_check.sql
-- One line a finding, the worst first, with the action in both languages; Vietnamese without its marks, since sqlcmd
-- reads files in a code page of its own. `doctor` names the same findings from the worker's side: each has a name here,
-- by which tests keep both in step. What old servers lack is asked by dynamic SQL, so that the script runs on all.

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
DECLARE @minor INT = CAST(PARSENAME(@version, 3) AS INT);
DECLARE @build INT = CAST(PARSENAME(@version, 2) AS INT);
DECLARE @engine INT = CAST(SERVERPROPERTY(N'EngineEdition') AS INT);
-- The worker's statements are those of 2008 R2. Debezium needs 2016 SP1, of an edition that has change data capture.
DECLARE @serves BIT = CASE
    WHEN @engine IN (5, 8) OR @major > 10 OR (@major = 10 AND @minor >= 50) THEN 1
    ELSE 0 END;
DECLARE @captures BIT = CASE
    WHEN @engine IN (5, 8) THEN 1
    WHEN @engine = 4 OR @edition LIKE N'Express%' OR @edition LIKE N'Web%' THEN 0
    WHEN @major > 13 OR (@major = 13 AND (@minor > 0 OR @build >= 4001)) THEN 1
    ELSE 0 END;
DECLARE @sql NVARCHAR(MAX);

-- ---- the server ----

-- name: version and edition
INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
    CASE WHEN @serves = 1 THEN 90 ELSE 20 END, CASE WHEN @serves = 1 THEN N'ok' ELSE N'error' END,
    N'version and edition',
    @version + N', ' + @edition + CASE
        WHEN @serves = 0 THEN N': older than SQL Server 2008 R2, whose statements the worker uses'
        WHEN @captures = 1 THEN N': serves CAPTURE=polling and CAPTURE=cdc'
        ELSE N': serves CAPTURE=polling alone' END,
    CASE WHEN @serves = 0 THEN N'Nang cap len SQL Server 2008 R2 tro len (nen 2016 SP1).' END,
    CASE WHEN @serves = 0 THEN N'Upgrade to SQL Server 2008 R2 or later, better to 2016 SP1.' END);

-- name: change data capture
IF @captures = 0
    INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
        40, N'warning', N'change data capture',
        N'CAPTURE=cdc needs Standard edition or better, 2016 SP1 or later, which this is not',
        N'Dat CAPTURE=polling: chuong trinh tu hoi bang SalesInvoices. Khong can Kafka Connect.',
        N'Set CAPTURE=polling: the worker asks the table itself. Kafka Connect is not needed.');

-- name: SQL Server Agent
IF @captures = 1 AND @engine <> 5
    AND NOT EXISTS (SELECT 1 FROM sys.dm_exec_sessions WHERE program_name LIKE N'SQLAgent%')
    INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
        20, N'error', N'SQL Server Agent', N'has no session on this server: it does not run, or has just started',
        N'Bat SQL Server Agent va dat che do tu khoi dong cung may chu.',
        N'Start SQL Server Agent, and let it start with the server.');

-- name: log-in mode
IF CAST(SERVERPROPERTY(N'IsIntegratedSecurityOnly') AS INT) = 1
    INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
        20, N'error', N'log-in mode', N'Windows alone: logins with passwords are refused (18456)',
        N'Server Properties > Security: chon SQL Server and Windows Authentication mode, roi khoi dong lai SQL Server.',
        N'Server Properties > Security: SQL Server and Windows Authentication mode; then restart SQL Server.');

-- name: read only
IF CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS NVARCHAR(128)) = N'READ_ONLY'
    INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
        20, N'error', N'read only', N'this database is a secondary replica, or was set to read only: no result can be written',
        N'Chay tren may chu chinh (primary); worker phai ket noi toi listener cua availability group.',
        N'Run this on the primary server; workers connect to the listener of the availability group.');

-- name: mirroring
IF OBJECT_ID(N'sys.database_mirroring') IS NOT NULL
BEGIN
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
        SELECT CASE WHEN m.mirroring_state IN (2, 4) THEN 90 ELSE 40 END,
            CASE WHEN m.mirroring_state IN (2, 4) THEN N''ok'' ELSE N''warning'' END,
            N''mirroring'', N''is '' + m.mirroring_state_desc
            + CASE WHEN m.mirroring_state IN (2, 4) THEN N'''' ELSE N'': the transaction log cannot be emptied meanwhile'' END,
            CASE WHEN m.mirroring_state NOT IN (2, 4) THEN N''ALTER DATABASE ... SET PARTNER RESUME, hoac bo mirroring (PARTNER OFF).'' END,
            CASE WHEN m.mirroring_state NOT IN (2, 4) THEN N''ALTER DATABASE ... SET PARTNER RESUME, or end the mirroring (PARTNER OFF).'' END
        FROM sys.database_mirroring m
        WHERE m.database_id = DB_ID() AND m.mirroring_guid IS NOT NULL';
    EXEC sys.sp_executesql @sql;
END;

-- name: Always On
IF CAST(SERVERPROPERTY(N'IsHadrEnabled') AS INT) = 1
BEGIN
    SET @sql = N'IF EXISTS (SELECT 1 FROM sys.databases WHERE database_id = DB_ID() AND replica_id IS NOT NULL)
        INSERT INTO #found (harm, level, what, found, action_vi, action_en) VALUES (
            40, N''warning'', N''Always On'', N''this database belongs to an availability group'',
            N''Chay 10, 20 va 40 tren moi replica; tao login cung SID (CREATE LOGIN ... WITH SID); xem connectors/README.md.'',
            N''Run 10, 20 and 40 on every replica; give logins the same SID (CREATE LOGIN ... WITH SID); connectors/README.md.'')';
    EXEC sys.sp_executesql @sql;
    -- name: Always On
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
        SELECT 30, N''warning'', N''Always On'', CAST(COUNT(*) AS NVARCHAR(12))
            + N'' replicas of the availability group do not receive the log; changes are captured only when every replica has them'',
            N''Xem dashboard cua availability group: cho cac replica nay chay lai (resume) hoac bo chung ra.'',
            N''See the dashboard of the availability group: resume or remove these replicas.''
        FROM sys.dm_hadr_database_replica_states r
        WHERE r.database_id = DB_ID() AND r.synchronization_state NOT IN (1, 2)
        HAVING COUNT(*) > 0';
    EXEC sys.sp_executesql @sql;
END;

-- ---- the database ----

-- name: database owner
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'database owner', N'does not exist on this server: 10_capture_on.sql fails with 15517 or 22830',
    N'ALTER AUTHORIZATION ON DATABASE::' + QUOTENAME(d.name) + N' TO sa',
    N'ALTER AUTHORIZATION ON DATABASE::' + QUOTENAME(d.name) + N' TO sa'
FROM sys.databases d
WHERE d.database_id = DB_ID() AND SUSER_SNAME(d.owner_sid) IS NULL AND @captures = 1;

-- name: transaction log
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT CASE WHEN d.log_reuse_wait_desc = N'REPLICATION' THEN 10 ELSE 90 END,
    CASE WHEN d.log_reuse_wait_desc = N'REPLICATION' THEN N'warning' ELSE N'ok' END,
    N'transaction log', N'recovery model ' + d.recovery_model_desc + N', waits for ' + d.log_reuse_wait_desc
    + (SELECT N', ' + CAST(SUM(CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT)) / 128 AS NVARCHAR(20)) + N' of '
        + CAST(SUM(CAST(f.size AS BIGINT)) / 128 AS NVARCHAR(20)) + N' MB are used' FROM sys.database_files f WHERE f.type = 1),
    CASE WHEN d.log_reuse_wait_desc = N'REPLICATION'
        THEN N'Nhat ky chua duoc doc: neu cu the nay no se day va khong ban hang duoc (9002). Khoi dong Agent va job capture; cap cuu: 90_capture_off.sql.' END,
    CASE WHEN d.log_reuse_wait_desc = N'REPLICATION'
        THEN N'It waits to be captured: if that lasts it fills, and tills cannot sell (9002). Start Agent and the capture job; in an emergency 90_capture_off.sql.' END
FROM sys.databases d
WHERE d.database_id = DB_ID();

-- name: space for the log
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 10, N'error', N'space for the log',
    f.name + N': ' + CAST(FILEPROPERTY(f.name, N'SpaceUsed') / 128 AS NVARCHAR(20)) + N' of ' + CAST(f.size / 128 AS NVARCHAR(20))
    + N' MB used, and it cannot grow',
    N'Cho tep nhat ky tang them, hoac sao luu nhat ky (BACKUP LOG) thuong xuyen hon.',
    N'Let the log file grow, or back the log up more often (BACKUP LOG).'
FROM sys.database_files f
WHERE f.type = 1 AND (f.growth = 0 OR (f.max_size > 0 AND f.size >= f.max_size))
    AND CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT) * 100 > CAST(f.size AS BIGINT) * 70;

-- name: space for the data
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 10, N'error', N'space for the data',
    CAST(q.used / 128 AS NVARCHAR(20)) + N' of ' + CAST(q.limit / 128 AS NVARCHAR(20)) + N' MB are used, and the files cannot grow further',
    N'Cho tep du lieu tang them (ALTER DATABASE ... MODIFY FILE), hoac don du lieu cu.',
    N'Let the data files grow (ALTER DATABASE ... MODIFY FILE), or remove old data.'
FROM (
    SELECT SUM(CAST(FILEPROPERTY(f.name, N'SpaceUsed') AS BIGINT)) AS used,
        SUM(CAST(CASE WHEN f.growth = 0 OR f.max_size < f.size THEN f.size ELSE f.max_size END AS BIGINT)) AS limit,
        SUM(CASE WHEN f.growth > 0 AND f.max_size = -1 THEN 1 ELSE 0 END) AS unlimited
    FROM sys.database_files f
    WHERE f.type = 0
) q
WHERE q.unlimited = 0 AND q.used * 10 > q.limit * 9;

-- name: space on the disk
IF OBJECT_ID(N'sys.dm_os_volume_stats') IS NOT NULL
BEGIN
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
        SELECT CASE WHEN q.free < 5120 THEN 10 ELSE 90 END,
            CASE WHEN q.free < 1024 THEN N''error'' WHEN q.free < 5120 THEN N''warning'' ELSE N''ok'' END, N''space on the disk'',
            q.volume + N'' has '' + CAST(q.free AS NVARCHAR(20)) + N'' of '' + CAST(q.size AS NVARCHAR(20)) + N'' MB free'',
            CASE WHEN q.free < 5120 THEN N''Giai phong hoac tang dung luong o dia nay: khi day khong ban hang duoc.'' END,
            CASE WHEN q.free < 5120 THEN N''Free space on this disk, or enlarge it: when it is full, no till can sell.'' END
        FROM (
            SELECT DISTINCT v.volume_mount_point AS volume, v.available_bytes / 1048576 AS free, v.total_bytes / 1048576 AS size
            FROM sys.database_files f
            CROSS APPLY sys.dm_os_volume_stats(DB_ID(), f.file_id) v
        ) q';
    EXEC sys.sp_executesql @sql;
END;

-- name: 10 GB limit of Express
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

-- name: row versions
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 90, N'ok', N'row versions', N'snapshot isolation ' + LOWER(d.snapshot_isolation_state_desc) + N', read committed snapshot '
    + CASE WHEN d.is_read_committed_snapshot_on = 1 THEN N'on' ELSE N'off' END, NULL, NULL
FROM sys.databases d
WHERE d.database_id = DB_ID();

-- name: snapshot isolation
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 40, N'warning', N'snapshot isolation', N'is off: 10_capture_on.sql switches it on, and waits for open transactions',
    N'Chay 10_capture_on.sql sau gio dong cua.', N'Run 10_capture_on.sql after closing time.'
FROM sys.databases d
WHERE d.database_id = DB_ID() AND d.snapshot_isolation_state = 0 AND @captures = 1;

-- name: replication
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

-- name: missing table
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + t.tab, N'is missing, or is neither a table nor a view',
    N'Chon dung CSDL ban hang (-d), hoac hoi nha cung cap phan mem.', N'Name the sales database (-d), or ask the vendor.'
FROM (SELECT DISTINCT tab FROM @needed) t
WHERE OBJECT_ID(N'dbo.' + t.tab, N'U') IS NULL AND OBJECT_ID(N'dbo.' + t.tab, N'V') IS NULL;

-- name: missing column
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + tab + N'.' + col, N'is missing', N'Yeu cau nha cung cap phan mem them cot nay.', N'Ask the vendor for this column.'
FROM @columns
WHERE type IS NULL AND OBJECT_ID(N'dbo.' + tab) IS NOT NULL;

-- name: unusable column type
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

-- name: short status
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + tab + N'.' + col, N'is ' + shown + N', too short for PENDING_SYNC and SYNC_SUCCESS',
    N'Tang do dai toi thieu 12 ky tu.', N'Make it at least 12 letters long.'
FROM @columns
WHERE tab = N'SalesInvoices' AND col = N'status' AND length < 12;

-- name: lossy column type
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

-- name: narrow id of our own tables
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 20, N'error', N'dbo.' + o.name + N'.id', N'is INT, narrower than dbo.SalesInvoices.id, which is BIGINT',
    N'Dung worker roi chay lai sale_sync.sql va sale_action.sql.', N'Stop the workers; run sale_sync.sql and sale_action.sql again.'
FROM sys.objects o
JOIN sys.columns c ON c.object_id = o.object_id AND c.name = N'id' AND c.system_type_id = TYPE_ID(N'int')
WHERE o.object_id IN (OBJECT_ID(N'dbo.SaleSync'), OBJECT_ID(N'dbo.SaleAction'))
    AND EXISTS (SELECT 1 FROM @columns WHERE tab = N'SalesInvoices' AND col = N'id' AND type = N'bigint');

-- name: primary key
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 40, N'warning', N'dbo.' + t.tab, N'has no primary key: two rows may have the same id, and then one of them is not sent',
    N'Yeu cau nha cung cap them khoa chinh tren cot id.', N'Ask the vendor for a primary key on id.'
FROM (
    VALUES (N'SalesInvoices'), (N'SalesInvoiceDetails'), (N'PurchaseReceipts'), (N'PurchaseReceiptDetails'),
        (N'GoodsIssueSlips'), (N'GoodsIssueSlipDetails')
) AS t (tab)
WHERE OBJECT_ID(N'dbo.' + t.tab, N'U') IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM sys.indexes i WHERE i.object_id = OBJECT_ID(N'dbo.' + t.tab) AND i.is_primary_key = 1);

-- A trigger written for one row works wrongly where a statement changes a hundred, and one that reaches into another
-- database fails under the worker's login (916).
-- name: trigger
INSERT INTO #found (harm, level, what, found, action_vi, action_en)
SELECT 30, N'warning', N'trigger ' + t.name,
    N'runs at each update of dbo.' + OBJECT_NAME(t.parent_id) + N'; the worker updates up to 128 rows in one statement'
    + CASE WHEN OBJECT_DEFINITION(t.object_id) LIKE N'%].[[]%].[[]%' OR OBJECT_DEFINITION(t.object_id) LIKE N'%.dbo.%'
        THEN N'; it may reach into another database' ELSE N'' END,
    N'Hoi nha cung cap: trigger co dung khi mot lenh sua nhieu dong, va voi login cua worker khong? Neu khong chac: WRITE_BACK_ROWS=1.',
    N'Ask the vendor: is it right when one statement changes many rows, and under the worker''s login? If unsure: WRITE_BACK_ROWS=1.'
FROM sys.triggers t
JOIN sys.trigger_events e ON e.object_id = t.object_id AND e.type_desc = N'UPDATE'
WHERE t.is_disabled = 0
    AND t.parent_id IN (OBJECT_ID(N'dbo.SalesInvoices'), OBJECT_ID(N'dbo.PurchaseReceipts'), OBJECT_ID(N'dbo.GoodsIssueSlips'));

-- ---- change data capture ----

IF OBJECT_ID(N'cdc.change_tables', N'U') IS NOT NULL
BEGIN
    -- name: capture instance without its table
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
    SELECT 20, N''error'', N''capture instance '' + c.capture_instance,
        N''captures a table that is not there any more: it was renamed or made again'',
        N''Bang da bi doi ten hoac tao lai: chay 10_capture_on.sql, roi sys.sp_cdc_disable_table cho instance cu.'',
        N''The table was renamed or made again: run 10_capture_on.sql, then sys.sp_cdc_disable_table for the old one.''
    FROM cdc.change_tables c
    WHERE NOT EXISTS (SELECT 1 FROM sys.tables t WHERE t.object_id = c.source_object_id)
        OR (c.role_name = N''sale_capture''
            AND (c.capture_instance LIKE N''dbo[_]SalesInvoices[_]%'' AND OBJECT_NAME(c.source_object_id) <> N''SalesInvoices''
                OR c.capture_instance LIKE N''dbo[_]PurchaseReceipts[_]%'' AND OBJECT_NAME(c.source_object_id) <> N''PurchaseReceipts''
                OR c.capture_instance LIKE N''dbo[_]GoodsIssueSlips[_]%'' AND OBJECT_NAME(c.source_object_id) <> N''GoodsIssueSlips''))';
    EXEC sys.sp_executesql @sql;
    -- name: capture instance out of date
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
    SELECT 20, N''error'', N''capture instance '' + t.capture_instance,
        N''captures '' + c.column_name + N'' with an earlier type or length: longer values stop it (2628, 8115)'',
        N''sys.sp_cdc_disable_table cho instance nay, roi chay lai 10_capture_on.sql; sau gio dong cua.'',
        N''Disable this instance (sys.sp_cdc_disable_table), then run 10_capture_on.sql again; after closing time.''
    FROM cdc.change_tables t
    JOIN cdc.captured_columns c ON c.object_id = t.object_id
    JOIN sys.tables o ON o.object_id = t.source_object_id
    LEFT JOIN sys.columns k ON k.object_id = t.object_id AND k.name = c.column_name
    LEFT JOIN sys.columns s ON s.object_id = t.source_object_id AND s.name = c.column_name
    WHERE t.role_name = N''sale_capture''
        AND CASE WHEN s.system_type_id = k.system_type_id AND s.max_length = k.max_length
            AND s.precision = k.precision AND s.scale = k.scale THEN 0 ELSE 1 END = 1';
    EXEC sys.sp_executesql @sql;
    -- name: capture instance without a column
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
    SELECT 20, N''error'', N''capture instance '' + t.capture_instance, N''does not capture '' + n.col,
        N''sys.sp_cdc_disable_table cho instance nay, roi chay lai 10_capture_on.sql; sau gio dong cua.'',
        N''Disable this instance (sys.sp_cdc_disable_table), then run 10_capture_on.sql again; after closing time.''
    FROM cdc.change_tables t
    JOIN (
        VALUES (N''SalesInvoices'', N''local_invoice_id''), (N''PurchaseReceipts'', N''local_receipt_id''),
            (N''GoodsIssueSlips'', N''local_slip_id'')
    ) AS d (tab, code) ON t.source_object_id = OBJECT_ID(N''dbo.'' + d.tab)
    JOIN (VALUES (N''id''), (N''code''), (N''pharmacy_code''), (N''shop_pharmacy_code''), (N''status'')) AS w (col) ON 1 = 1
    CROSS APPLY (SELECT CASE WHEN w.col = N''code'' THEN d.code ELSE w.col END AS col) AS n
    WHERE t.role_name = N''sale_capture''
        AND NOT EXISTS (SELECT 1 FROM cdc.captured_columns c WHERE c.object_id = t.object_id AND c.column_name = n.col)';
    EXEC sys.sp_executesql @sql;
    -- name: TRUNCATE TABLE
    INSERT INTO #found (harm, level, what, found, action_vi, action_en)
    SELECT 40, N'warning', N'TRUNCATE TABLE', N'is refused for captured tables (4711)',
        N'Hoi nha cung cap co dung TRUNCATE khi don du lieu khong; dung DELETE thay the.',
        N'Ask the vendor whether the sales software truncates tables; DELETE works.'
    FROM sys.tables t
    WHERE t.object_id = OBJECT_ID(N'dbo.SalesInvoices') AND t.is_tracked_by_cdc = 1;
END;

-- ---- what is waiting ----

-- name: pending by age
IF NOT EXISTS (SELECT 1 FROM @columns WHERE tab = N'SalesInvoices' AND (type IS NULL AND col = N'status'
    OR COALESCE(type, N'') NOT IN (N'smalldatetime', N'datetime', N'datetime2') AND col = N'created_at'))
BEGIN
    SET @sql = N'INSERT INTO #found (harm, level, what, found, action_vi, action_en)
    SELECT CASE WHEN SUM(old) > 0 THEN 40 ELSE 90 END, CASE WHEN SUM(old) > 0 THEN N''warning'' ELSE N''ok'' END, N''pending by age'',
        CAST(COUNT_BIG(*) AS NVARCHAR(20)) + N'' PENDING_SYNC or PENDING_CANCEL: '' + CAST(COALESCE(SUM(hour), 0) AS NVARCHAR(20))
        + N'' created within an hour, '' + CAST(COALESCE(SUM(day), 0) AS NVARCHAR(20)) + N'' within a day, ''
        + CAST(COUNT_BIG(*) - COALESCE(SUM(hour + day + old), 0) AS NVARCHAR(20)) + N'' within 3 days, ''
        + CAST(COALESCE(SUM(old), 0) AS NVARCHAR(20)) + N'' longer ago, the oldest of ''
        + COALESCE(CONVERT(NVARCHAR(16), MIN(created_at), 120), N''-''),
        CASE WHEN SUM(old) > 0 THEN N''Tat ca se duoc gui: danh dau truoc nhung hoa don khong can gui. docs/cut-over.md.'' END,
        CASE WHEN SUM(old) > 0 THEN N''All of them will be sent: first change the status of those that must not be. docs/cut-over.md.'' END
    FROM (
        SELECT created_at, CASE WHEN created_at >= DATEADD(HOUR, -1, GETDATE()) THEN 1 ELSE 0 END AS hour,
            CASE WHEN created_at >= DATEADD(HOUR, -24, GETDATE()) AND created_at < DATEADD(HOUR, -1, GETDATE()) THEN 1 ELSE 0 END AS day,
            CASE WHEN created_at < DATEADD(DAY, -3, GETDATE()) THEN 1 ELSE 0 END AS old
        FROM dbo.SalesInvoices WITH (READUNCOMMITTED)
        WHERE status IN (N''PENDING_SYNC'', N''PENDING_CANCEL'')
    ) p';
    EXEC sys.sp_executesql @sql;
END;

-- name: examined
INSERT INTO #found (harm, level, what, found) VALUES (90, N'ok', N'examined', DB_NAME() + N' on ' + @@SERVERNAME);

SELECT ROW_NUMBER() OVER (ORDER BY harm, CASE level WHEN N'error' THEN 1 WHEN N'warning' THEN 2 ELSE 3 END, id) AS [order],
    level, what, found, COALESCE(action_vi, N'') AS action_vi, COALESCE(action_en, N'') AS action_en
FROM #found
ORDER BY [order];
DROP TABLE #found;
GO
