"""connector-x, unmodified: its four ways to ask, all types that it knows, and a query in parts. For `make test-all`: it is large."""
import datetime
import decimal
import json
import subprocess

import pytest

from heavy import installed
from pg_node import host_port, started

PACKAGES = ["connectorx==0.4.6", "pyarrow==26.0.1"]
PROJECT = """
CREATE TABLE things (id BIGINT PRIMARY KEY, small SMALLINT, whole INTEGER, name VARCHAR, price DECIMAL(10,2), moment TIMESTAMP, zoned TIMESTAMPTZ, day DATE, clock TIME,
  ok BOOLEAN, single FLOAT, d DOUBLE, bytes BLOB, mark UUID);
"""
ROWS = """INSERT INTO things SELECT i, i % 100, -i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'näme ' || i END, i / 4, TIMESTAMP '2026-01-01 00:00:00.25' + INTERVAL (i) HOUR,
  TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (i) HOUR, DATE '2026-01-01' + i::INTEGER, TIME '00:00:01' + INTERVAL (i) SECOND, i % 2 = 0, i / 2, i / 3,
  encode('b' || i), ('00000000-0000-0000-0000-' || lpad(i::VARCHAR, 12, '0'))::UUID FROM range(5000) t(i)"""
ASK = """
import json, sys
import connectorx
url, query, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
rows = connectorx.read_sql(url, query, return_type="arrow", **options).to_pylist()
print(json.dumps(sorted(rows, key=lambda row: row["id"]), default=repr))
"""


@pytest.fixture(scope="module")
def node(folder):
    node = started(folder, PROJECT)
    node.sql(ROWS)
    yield node
    node.stop()


@pytest.fixture(scope="module")
def connectorx():
    return installed("connectorx-0.4.6", PACKAGES)


def ask(node, connectorx, query, **options):
    host, port = host_port(node)
    done = subprocess.run([connectorx / "bin/python", "-c", ASK, f"postgresql://ann@{host}:{port}/millrace", query, json.dumps(options)], capture_output=True, text=True,
                          timeout=120, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("protocol", ["binary", "csv", "cursor", "simple"])
def test_rows_come_whole_by_every_protocol(node, connectorx, protocol):
    rows = ask(node, connectorx, "SELECT id, small, whole, name, price, moment, day, ok, single, d FROM things", protocol=protocol)
    assert len(rows) == 5000
    for i in (0, 1, 4999):
        row = rows[i]
        assert [row[name] for name in ("id", "small", "whole", "name", "ok")] == [i, i % 100, -i, None if i % 3 == 0 else f"näme {i}", i % 2 == 0]
        assert eval(row["price"], {"Decimal": decimal.Decimal}) == decimal.Decimal(i) / 4
        assert eval(row["moment"]) == datetime.datetime(2026, 1, 1, 0, 0, 0, 250000) + datetime.timedelta(hours=i)
        assert eval(row["day"]) == datetime.date(2026, 1, 1) + datetime.timedelta(days=i)
        assert row["single"] == i / 2 and row["d"] == i / 3
    assert node.sql("SELECT query, error FROM millrace.unanswered") == []


def test_the_other_types_come_in_binary(node, connectorx):
    rows = ask(node, connectorx, "SELECT id, zoned, clock, bytes, mark FROM things", protocol="binary")
    assert "2026, 1, 1, 1, 0" in rows[1]["zoned"] and "0, 0, 2" in rows[1]["clock"]
    assert eval(rows[7]["bytes"]) == b"b7" and rows[7]["mark"] == "00000000-0000-0000-0000-000000000007"


def test_a_query_in_parts_is_the_query(node, connectorx):
    rows = ask(node, connectorx, "SELECT id, name FROM things", partition_on="id", partition_num=4)
    assert [row["id"] for row in rows] == list(range(5000))
