#!/usr/bin/env python3
"""Makes data/order_lines.csv.zst and data/products.csv from the UCI data set "Online Retail" (see data/README.md).

    zstd -dc online_retail.csv.zst | examples/shop/make_data.py

Every row stays, in its order and with its values; added is `line`, the 1-based position within the invoice.
"""
import collections
import csv
import pathlib
import subprocess
import sys

DATA = pathlib.Path(__file__).resolve().parent / "data"
# A product's category, by the first of these words that its description holds.
CATEGORIES = [("BAG", "bags"), ("CANDLE", "light"), ("LIGHT", "light"), ("LANTERN", "light"), ("CAKE", "kitchen"), ("MUG", "kitchen"),
              ("TEA", "kitchen"), ("LUNCH", "kitchen"), ("CHRISTMAS", "christmas"), ("CARD", "paper"), ("PAPER", "paper"),
              ("HEART", "decoration"), ("SIGN", "decoration")]


def main():
    reader = csv.reader(sys.stdin)
    assert next(reader) == ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    lines = collections.Counter()
    descriptions = {}
    target = DATA / "order_lines.csv.zst"
    with subprocess.Popen(["zstd", "-9", "-q", "-f", "-o", str(target)], stdin=subprocess.PIPE, text=True) as packer:
        writer = csv.writer(packer.stdin, lineterminator="\n")
        writer.writerow(["invoice", "line", "stock_code", "description", "quantity", "ordered_at", "unit_price", "customer_id", "country"])
        for invoice, stock_code, description, *rest in reader:
            lines[invoice] += 1
            writer.writerow([invoice, lines[invoice], stock_code, description, *rest])
            if description:
                descriptions.setdefault(stock_code, description)
        packer.stdin.close()
    with open(DATA / "products.csv", "w", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["stock_code", "category"])
        for stock_code, description in sorted(descriptions.items()):
            category = next((name for word, name in CATEGORIES if word in description), None)
            if category:
                writer.writerow([stock_code, category])


if __name__ == "__main__":
    main()
