"""All of it for one kind of document, made from what a worker or a command has."""

from __future__ import annotations

from streams.desk.figures import Figures
from streams.desk.one_sale import Histories, SaleCard
from streams.desk.sales import Sales
from streams.desk.send_again import SendAgain
from streams.desk.send_now import SendNow
from streams.desk.shops import Shops
from streams.documents.document import DocumentKind
from streams.settings import Settings
from streams.stores.sales_db import SalesDb


class Desk:
    def __init__(self, settings: Settings, db: SalesDb, kind: DocumentKind, journal: Histories) -> None:
        """`db`: open."""
        self.figures = Figures(db, kind, settings.zone)
        self.shops = Shops(db, kind, settings.zone)
        self.sales = Sales(db, kind)
        self.card = SaleCard(db, kind, journal)
        self.again = SendAgain(db, kind, settings.zone)
        self.now = SendNow(db, kind)
