"""The WaveSpeed service as this project sees it."""

from blocks.wavespeed.amounts import amount_in_millionths
from blocks.wavespeed.answers import BillingEntry, Quote, Upload
from blocks.wavespeed.client import WaveSpeedClient
from blocks.wavespeed.clock_skew import ClockSkew
from blocks.wavespeed.history import HistoryReading, UnreadableItem
from blocks.wavespeed.prediction import Prediction

__all__ = [
    "BillingEntry",
    "ClockSkew",
    "HistoryReading",
    "Prediction",
    "Quote",
    "UnreadableItem",
    "Upload",
    "WaveSpeedClient",
    "amount_in_millionths",
]
