"""Sales as tills write them, most of them right and a few wrong in the ways that happen. Seeded: replayable."""

from streams.local.samples.catalogue import REFUSED_DRUG_CODE
from streams.local.samples.sales import Fault, Sale
from streams.local.samples.seller import Seller
from streams.local.samples.shops import Account, Shop

__all__ = ["REFUSED_DRUG_CODE", "Account", "Fault", "Sale", "Seller", "Shop"]
