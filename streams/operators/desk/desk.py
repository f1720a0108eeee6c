"""All queries and actions for one document type, in one object."""

from __future__ import annotations

from streams.documents.document import DocumentType
from streams.operators.desk.figures import Figures
from streams.operators.desk.sale_card import HistoryReader, SaleCard
from streams.operators.desk.sale_lists import Sales
from streams.operators.desk.send_again import SendAgain
from streams.operators.desk.send_changed import SendChanged
from streams.operators.desk.send_now import SendNow
from streams.operators.desk.shops import Shops
from streams.operators.desk.withdraw import Withdraw
from streams.settings import Settings
from streams.stores.sales_db import SalesDb


class Desk:
    def __init__(self, settings: Settings, db: SalesDb, document_type: DocumentType, journal: HistoryReader) -> None:
        """`db` must be open already."""
        self.figures = Figures(db, document_type, settings.zone)
        self.shops = Shops(db, document_type, settings.zone)
        self.sales = Sales(db, document_type)
        self.card = SaleCard(db, document_type, journal)
        self.again = SendAgain(db, document_type, settings.zone)
        self.changed = SendChanged(db, document_type, settings.zone)
        self.now = SendNow(db, document_type)
        self.withdraw = Withdraw(db, document_type, settings.zone)
