-- Sells: each run commits four sales of two shops, one of them with a mistake that happens; and of the first shop one
-- receipt and one issue. UTF-8.
-- The shops' password is taken from the environment, SAMPLE_SHOP_PASSWORD: the national API must know the same.

SET NOCOUNT ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
GO

MERGE dbo.AccountShop AS t
USING (
    VALUES
        (N'SHOP-01', N'01-00001', N'nhathuoc010001', N'Nhà thuốc Minh Châu – Cầu Giấy'),
        (N'SHOP-02', N'48-00002', N'nhathuoc480002', N'Nhà thuốc Thiện Tâm – Hải Châu')
) AS s (shop, place, account, name) ON t.shop_pharmacy_code = s.shop
WHEN MATCHED THEN
    UPDATE SET password = N'$(SAMPLE_SHOP_PASSWORD)', status = 1
WHEN NOT MATCHED THEN
    INSERT (shop_pharmacy_code, pharmacy_code, account, password, shop_name, status)
    VALUES (s.shop, s.place, s.account, N'$(SAMPLE_SHOP_PASSWORD)', s.name, 1);
GO

-- Header and lines in one transaction, times by the pharmacy's wall clock, as tills write them.
BEGIN TRANSACTION;

DECLARE @now DATETIME2(3) = CAST(SYSUTCDATETIME() AT TIME ZONE 'UTC' AT TIME ZONE 'SE Asia Standard Time' AS DATETIME2(3));
DECLARE @first INT = (SELECT COALESCE(MAX(id), 0) FROM dbo.SalesInvoices);
DECLARE @sold TABLE (id INT NOT NULL, local_invoice_id NVARCHAR(50) NOT NULL);

INSERT INTO dbo.SalesInvoices (
    local_invoice_id, pharmacy_code, shop_pharmacy_code, sale_date, seller_name, customer_name, status, created_at,
    updated_at
)
OUTPUT inserted.id, inserted.local_invoice_id INTO @sold (id, local_invoice_id)
SELECT
    CONCAT(N'HD-', @first + s.number), s.place, s.shop, @now, s.seller, s.customer, N'PENDING_SYNC', @now, @now
FROM (
    VALUES
        (1, N'01-00001', N'SHOP-01', N'DS. Trần Thị Thu Hương', N'Nguyễn Văn Dũng'),
        (2, N'01-00001', N'SHOP-01', N'DS. Trần Thị Thu Hương', NULL),
        (3, N'48-00002', N'SHOP-02', N'DS. Lê Minh Khôi', N'Phạm Ngọc Ánh'),
        (4, N'48-00002', N'SHOP-02', N'DS. Lê Minh Khôi', NULL)
) AS s (number, place, shop, seller, customer);

INSERT INTO dbo.SalesInvoiceDetails (
    sales_invoice_id, drug_code, drug_name, lot_number, production_date, expiry_date, unit, concentration, dosage,
    route_of_administration, registration_number, quantity, unit_price, line_total, conversion_ratio
)
SELECT
    i.id, l.code, l.name, l.lot, DATEADD(DAY, -200, @now), DATEADD(DAY, 700, @now), l.unit, l.strength, l.dosage,
    N'Uống', l.registration, l.quantity, l.price, l.quantity * l.price, l.ratio
FROM (
    VALUES
        (1, N'DQG00000001', N'Vitamin C Hoa Mai (Acid ascorbic)', N'042601', N'Lọ', N'500 mg',
            N'Ngày 1 viên sau bữa sáng', N'VD-22871-23', 1, 28000, 100),
        (1, N'DQG00000002', N'Levothyrin (Levothyroxin natri)', N'A26117', N'Hộp', N'50 µg',
            N'Ngày 1 viên lúc đói', N'VN-23105-25', 2, 89000, 50),
        (2, N'DQG00000003', N'Sắt Hồng Ngọc (Sắt fumarat + Acid folic)', N'032612', N'Hộp', N'200 mg + 1 mg',
            N'Ngày 1 viên trước bữa ăn 1 giờ', N'VD-30788-24', 1, 54000, 30),
        (3, N'DQG00000004', N'Gliclavin MR (Gliclazid)', N'A26044', N'Vỉ', N'30 mg',
            N'Ngày 1 viên ngay trước bữa sáng', N'893110119324', 0.5, 24500, 15),
        -- No lot number, which the national system asks for: this sale ends as SYNC_FAILED and says so.
        (4, N'DQG00000001', N'Vitamin C Hoa Mai (Acid ascorbic)', N'', N'Lọ', N'500 mg',
            N'Ngày 1 viên sau bữa sáng', N'VD-22871-23', 1, 28000, 100)
) AS l (number, code, name, lot, unit, strength, dosage, registration, quantity, price, ratio)
JOIN @sold i ON i.local_invoice_id = CONCAT(N'HD-', @first + l.number);

COMMIT TRANSACTION;
GO

-- What came from a supplier this morning, in the smallest unit; and what goes back to him.
BEGIN TRANSACTION;

DECLARE @now DATETIME2(3) = CAST(SYSUTCDATETIME() AT TIME ZONE 'UTC' AT TIME ZONE 'SE Asia Standard Time' AS DATETIME2(3));
DECLARE @receipt INT, @slip INT;

INSERT INTO dbo.PurchaseReceipts (
    local_receipt_id, pharmacy_code, shop_pharmacy_code, receipt_date, receipt_type, supplier_name, notes, status,
    created_at, updated_at
)
SELECT
    CONCAT(N'PN-', COALESCE(MAX(id), 0) + 1), N'01-00001', N'SHOP-01', @now, 1, N'Công ty Cổ phần Dược phẩm Minh Phát', NULL,
    N'PENDING_SYNC', @now, @now
FROM dbo.PurchaseReceipts;
SET @receipt = SCOPE_IDENTITY();
INSERT INTO dbo.PurchaseReceiptDetails (
    purchase_receipt_id, drug_code, drug_name, lot_number, production_date, expiry_date, registration_number, quantity,
    unit_price, unit
)
VALUES (
    @receipt, N'DQG00000003', N'Sắt Hồng Ngọc (Sắt fumarat + Acid folic)', N'032612', DATEADD(DAY, -200, @now),
    DATEADD(DAY, 700, @now), N'VD-30788-24', 600, 1450, N'Viên'
);

INSERT INTO dbo.GoodsIssueSlips (
    local_slip_id, pharmacy_code, shop_pharmacy_code, issue_date, issue_type, recipient_name, notes, status, created_at,
    updated_at
)
SELECT
    CONCAT(N'PX-', COALESCE(MAX(id), 0) + 1), N'01-00001', N'SHOP-01', @now, 2, N'Công ty Cổ phần Dược phẩm Minh Phát', N'',
    N'PENDING_SYNC', @now, @now
FROM dbo.GoodsIssueSlips;
SET @slip = SCOPE_IDENTITY();
INSERT INTO dbo.GoodsIssueSlipDetails (
    goods_issue_slip_id, drug_code, drug_name, lot_number, production_date, expiry_date, registration_number, quantity,
    unit_price, unit
)
VALUES (
    @slip, N'DQG00000001', N'Vitamin C Hoa Mai (Acid ascorbic)', N'042601', DATEADD(DAY, -650, @now),
    DATEADD(DAY, 60, @now), N'VD-22871-23', 100, 280, N'Viên'
);

COMMIT TRANSACTION;
GO
