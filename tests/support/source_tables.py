"""The tables of the point of sale, column by column, as the pharmacy's database has them."""

from __future__ import annotations

POINT_OF_SALE_TABLES = {
    "SalesInvoices": {
        "id": "INTEGER NULL",  # SQLite's word for INT IDENTITY; a primary key is never null
        "local_invoice_id": "NVARCHAR(50) NOT NULL",
        "national_invoice_id": "NVARCHAR(100) NULL",
        "pharmacy_code": "NVARCHAR(50) NOT NULL",
        "shop_pharmacy_code": "NVARCHAR(50) NOT NULL",
        "national_prescription_id": "NVARCHAR(50) NULL",
        "sale_date": "DATETIME NOT NULL",
        "seller_name": "NVARCHAR(50) NULL",
        "customer_name": "NVARCHAR(50) NULL",
        "status": "NVARCHAR(20) NOT NULL",
        "sync_response_message": "TEXT NULL",
        "created_at": "DATETIME2(3) NOT NULL",
        "updated_at": "DATETIME2(3) NOT NULL",
    },
    "SalesInvoiceDetails": {
        "id": "INTEGER NULL",
        "sales_invoice_id": "INT NOT NULL",
        "drug_code": "NVARCHAR(50) NOT NULL",
        "drug_name": "NVARCHAR(500) NOT NULL",
        "lot_number": "NVARCHAR(50) NOT NULL",
        "production_date": "DATE NULL",
        "expiry_date": "DATE NOT NULL",
        "unit": "NVARCHAR(50) NOT NULL",
        "concentration": "NVARCHAR(500) NOT NULL",
        "dosage": "TEXT NOT NULL",
        "route_of_administration": "NVARCHAR(200) NULL",
        "registration_number": "NVARCHAR(50) NULL",
        "quantity": "DECIMAL(18,2) NOT NULL",
        "unit_price": "DECIMAL(18,2) NOT NULL",
        "line_total": "DECIMAL(18,2) NOT NULL",
        "conversion_ratio": "DECIMAL(18,2) NOT NULL",
    },
    "AccountShop": {
        "shop_pharmacy_code": "NVARCHAR(50) NULL",
        "pharmacy_code": "NVARCHAR(50) NULL",
        "account": "NVARCHAR(50) NULL",
        "password": "NVARCHAR(50) NULL",
        "shop_name": "NVARCHAR(100) NULL",
        "status": "INT NULL",
    },
}
