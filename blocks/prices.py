"""The price book: what one picture or one second costs, from a dated list."""

import csv
import hashlib
import io
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from blocks.errors import InvalidInput
from blocks.money import to_millionths

_COLUMNS = ("model", "resolution", "unit", "price_usd", "source")
_UNITS = ("image", "second")
_DATED_NAME = re.compile(r".*?([0-9]{4}-[0-9]{2}-[0-9]{2})\.csv")


@dataclass(frozen=True)
class PriceBook:
    """One price list. ``rows`` are the file's, for the manifest; ``dated`` is the ISO date in its name."""

    name: str
    dated: str
    sha256: str
    rows: tuple[dict[str, str], ...]
    unit_prices: dict[tuple[str, str], int]  # (model id, resolution or ""): millionths of a dollar

    @classmethod
    def load(cls, path: Path | None = None) -> "PriceBook":
        """Read the list at ``path``, or else the newest of the project's own that is not of the future.

        Raises InvalidInput where the file is missing or is not a price list.
        """
        source: Traversable = path if path is not None else newest_price_list(_own_folder(), _today())
        try:
            content = source.read_bytes()
            text = content.decode("utf-8-sig")
        except OSError as error:
            raise InvalidInput(f"price list {source}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"price list {source}: is not UTF-8; save it as “CSV UTF-8”") from error
        try:
            dated = _date_in(source.name)
            rows, unit_prices = _parse(text)
        except (ValueError, csv.Error) as error:
            raise InvalidInput(f"price list {source}: {error}") from error
        return cls(source.name, dated, hashlib.sha256(content).hexdigest(), rows, unit_prices)

    def unit_price(self, model_id: str, resolution: str | None) -> int:
        """Millionths of a dollar for a picture, or for a second. Raises InvalidInput where none is listed."""
        try:
            return self.unit_prices[model_id, resolution or ""]
        except KeyError as error:
            what = f"{model_id} in {resolution}" if resolution else model_id
            raise InvalidInput(f"price list {self.name} has no price for {what}; add a row for it") from error

    def cost(self, model_id: str, resolution: str | None, quantity: Decimal) -> int:
        """Millionths of a dollar for that many pictures or billed seconds, rounded half up."""
        exact = self.unit_price(model_id, resolution) * quantity
        return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def newest_price_list(folder: Traversable, today: date) -> Traversable:
    """The list with the latest date in its name that is not after ``today``. Raises InvalidInput if none."""
    dated = [(_DATED_NAME.fullmatch(file.name), file) for file in folder.iterdir()]
    lists = [(match[1], file) for match, file in dated if match and match[1] <= today.isoformat()]
    if not lists:
        raise InvalidInput(f"no price list dated {today.isoformat()} or earlier in {folder}; add one")
    return max(lists, key=lambda pair: (pair[0], pair[1].name))[1]


def _own_folder() -> Traversable:
    return files("data").joinpath("prices")


def _today() -> date:
    return datetime.now(UTC).date()


def _date_in(name: str) -> str:
    match = _DATED_NAME.fullmatch(name)
    if not match:
        raise ValueError("its name carries no date; name it such as wavespeed-2026-11-01.csv")
    return date.fromisoformat(match[1]).isoformat()


def _parse(text: str) -> tuple[tuple[dict[str, str], ...], dict[tuple[str, str], int]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if tuple(reader.fieldnames or ()) != _COLUMNS:
        raise ValueError(f"line 1: the columns must be {', '.join(_COLUMNS)}")
    rows: list[dict[str, str]] = []
    unit_prices: dict[tuple[str, str], int] = {}
    for row in reader:
        where = f"line {reader.line_num}"
        if None in row or None in row.values():
            raise ValueError(f"{where}: not {len(_COLUMNS)} cells")
        key = (row["model"], row["resolution"])
        if not row["model"]:
            raise ValueError(f"{where}: model is blank")
        if row["unit"] not in _UNITS:
            raise ValueError(f"{where}: unit {row['unit']!r} is not one of {', '.join(_UNITS)}")
        if key in unit_prices:
            raise ValueError(f"{where}: a second price for {row['model']} {row['resolution']}".rstrip())
        unit_prices[key] = _price(row["price_usd"], where)
        rows.append(row)
    if not rows:
        raise ValueError("lists no price")
    return tuple(rows), unit_prices


def _price(text: str, where: str) -> int:
    try:
        exact = Decimal(text) * 1_000_000
        price = to_millionths(text)
    except ArithmeticError as error:
        raise ValueError(f"{where}: price_usd {text!r} is not an amount in dollars such as 0.028") from error
    except ValueError as error:
        raise ValueError(f"{where}: price_usd {error}") from error
    if price < 0 or price != exact:
        raise ValueError(f"{where}: price_usd {text!r} is not a price in whole millionths of a dollar")
    return price
