"""The WaveSpeed service as this project sees it."""

from blocks.wavespeed.amounts import amount_in_millionths
from blocks.wavespeed.answers import BillingEntry, Quote, Upload
from blocks.wavespeed.client import WaveSpeedClient
from blocks.wavespeed.clock_skew import ClockSkew
from blocks.wavespeed.history import HistoryReading, UnreadableItem
from blocks.wavespeed.prediction import Prediction
from blocks.wavespeed.usage import LONGEST_USAGE, ROUNDED_TO, Usage

__all__ = [
    "LONGEST_USAGE",
    "ROUNDED_TO",
    "BillingEntry",
    "ClockSkew",
    "HistoryReading",
    "Prediction",
    "Quote",
    "UnreadableItem",
    "Upload",
    "Usage",
    "WaveSpeedClient",
    "amount_in_millionths",
]
