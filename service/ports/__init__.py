"""The seams: what the core needs from the world, as protocols, a file for each side of it. Every port has a contract suite in
tests/contract. No implementation lives here; whoever needs a port imports it from here.
"""

from service.ports.books import BooksReader, LedgerExports, LedgerReader, StorageReader
from service.ports.clock import Clock, Dice
from service.ports.log import Log
from service.ports.paid import PaidReader
from service.ports.pictures import BlobInfo, Blobs, Downloads, Picture, Pictures
from service.ports.providers import Provider, ProviderBills, ProviderRecords, RouteHealth, WebhookCheck
from service.ports.store import Hints, HintSubscription, Store
from service.ports.work import JobReader, OperatorReader, WorkReader

__all__ = [
    "BlobInfo",
    "Blobs",
    "BooksReader",
    "Clock",
    "Dice",
    "Downloads",
    "HintSubscription",
    "Hints",
    "JobReader",
    "LedgerExports",
    "LedgerReader",
    "Log",
    "OperatorReader",
    "PaidReader",
    "Picture",
    "Pictures",
    "Provider",
    "ProviderBills",
    "ProviderRecords",
    "RouteHealth",
    "StorageReader",
    "Store",
    "WebhookCheck",
    "WorkReader",
]
