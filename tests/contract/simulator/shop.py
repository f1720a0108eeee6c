"""A shop that talks to the simulator as the software of a point of sale does, and the documents that it sends."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import httpx

SALES = "/api/lien_thong/hoa_don"
RECEIPTS = "/api/lien_thong/phieu_nhap"
ISSUES = "/api/lien_thong/phieu_xuat"
LOG_IN = "/api/tai_khoan/dang_nhap"


def plain_http(url: str) -> httpx.AsyncClient:
    """Open a client without certificates, whose reading would take longer than a test."""
    no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.AsyncClient(base_url=url, timeout=10, trust_env=False, verify=no_certificates)


@dataclass
class Shop:
    http: httpx.AsyncClient
    usr: str = "shop-1"
    pwd: str = "right"
    token: str = ""

    async def request_token(self) -> httpx.Response:
        return await self.http.post(LOG_IN, json={"usr": self.usr, "pwd": self.pwd})

    async def log_in(self) -> Shop:
        answer = (await self.request_token()).json()
        self.token = (answer.get("data") or answer)["token"]
        return self

    async def call(self, method: str, path: str, body: Any = None, content: bytes | None = None) -> httpx.Response:
        headers = {"Authorization": f"bearer {self.token}"}
        if content is not None:
            return await self.http.request(method, path, content=content, headers=headers)
        return await self.http.request(method, path, json=body, headers=headers)

    async def create(self, body: Any, path: str = SALES) -> httpx.Response:
        return await self.call("POST", path, body)

    async def replace(self, body: Any, path: str = SALES) -> httpx.Response:
        return await self.call("PUT", path, body)

    async def look_up(self, code: str, place: str = "79-00001", path: str = SALES) -> httpx.Response:
        return await self.call("GET", f"{path}/{place}/{code}")

    async def withdraw(self, code: str, place: str = "79-00001", path: str = SALES) -> httpx.Response:
        return await self.call("DELETE", f"{path}/{place}/{code}")


def sale(code: str = "HD-1", **changes: Any) -> dict[str, Any]:
    body = {
        "ma_hoa_don": code,
        "ma_co_so": "79-00001",
        "ngay_ban": "20261123",
        "ho_ten_khach_hang": "Nguyễn Thị Ánh",
        "hoa_don_chi_tiet": [sale_line()],
    }
    return body | changes


def sale_line(**changes: Any) -> dict[str, Any]:
    line = {
        "ma_thuoc": "DQG-0001",
        "ten_thuoc": "Paracetamol 500 mg",
        "so_lo": "L01",
        "han_dung": "20281231",
        "don_vi_tinh": "viên",
        "ham_luong": "500 mg",
        "lieu_dung": "ngày 2 viên",
        "so_dang_ky": "VD-1234-21",
        "so_luong": 5,
        "don_gia": 1200,
        "thanh_tien": 6000,
        "ty_le_quy_doi": 0.5,
    }
    return line | changes


_SLIP_LINE = {
    "ma_thuoc": "DQG-0001",
    "ten_thuoc": "Paracetamol 500 mg",
    "so_lo": "L01",
    "han_dung": "20281231",
    "so_dklh": "VD-1234-21",
    "so_luong": 5,
    "don_gia": 1200,
    "don_vi_tinh": "viên",
}


def receipt(code: str = "PN-1", **changes: Any) -> dict[str, Any]:
    body = {"ma_phieu": code, "ma_co_so": "79-00001", "ngay_nhap": "20261123", "loai_phieu_nhap": 1}
    return body | {"chi_tiet": [{**_SLIP_LINE, "ngay_san_xuat": "20260101"}]} | changes


def issue(code: str = "PX-1", **changes: Any) -> dict[str, Any]:
    body = {"ma_phieu": code, "ma_co_so": "79-00001", "ngay_xuat": "20261123", "loai_phieu_xuat": 3}
    return body | {"ghi_chu": "hết hạn", "chi_tiet": [_SLIP_LINE]} | changes
