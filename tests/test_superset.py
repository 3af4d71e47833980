"""Superset's library, unmodified and without its web page: looking around, SQL Lab's statements, and a chart's queries. For `make test-all`: it is large."""
import json
import os
import subprocess

import pytest

from heavy import installed
from pg_node import host_port

PACKAGES = ["apache-superset==6.1.0", "psycopg2-binary==2.9.13", "rich", "flask-caching<2.4", "setuptools<81", "cachetools"]
PROJECT = """
CREATE TYPE size AS ENUM ('small', 'large');
CREATE TABLE orders (id BIGINT PRIMARY KEY, customer VARCHAR, size size, amount DECIMAL(10,2), placed TIMESTAMP, paid TIMESTAMPTZ);
CREATE MATERIALIZED VIEW spent AS SELECT customer, sum(amount) AS total, count(*) AS n FROM orders GROUP BY customer;
CREATE VIEW large AS SELECT * FROM orders WHERE size = 'large';
"""


@pytest.fixture(scope="module")
def superset():
    return installed("superset-6.1.0", PACKAGES)


def test_superset_looks_around_and_asks(node, superset, tmp_path):
    node.sql("INSERT INTO orders VALUES (1, 'ann', 'small', 1.50, '2024-05-01 10:00', '2024-05-01 10:00:00+00'), (2, 'ann', 'large', 2.25, '2024-05-02 11:30', NULL), "
             "(3, 'bob', NULL, 4, '2024-06-01 00:00', '2024-06-01 00:00:00+00')")
    host, port = host_port(node)
    (tmp_path / "superset_config.py").write_text(f"SECRET_KEY = 'of a test'\nSQLALCHEMY_DATABASE_URI = 'sqlite:///{tmp_path}/superset.db'\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SUPERSET_CONFIG_PATH": str(tmp_path / "superset_config.py"), "SUPERSET_HOME": str(tmp_path)}
    done = subprocess.run([superset / "bin/python", os.path.join(os.path.dirname(__file__), "clients", "superset_client.py"), f"postgresql+psycopg2://ann:x@{host}:{port}/millrace"],
                          capture_output=True, text=True, timeout=500, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "public" in found["schemas"]
    assert found["tables"] == ["orders"] and found["views"] == ["large", "spent"]
    assert [(column["name"], column["type"]) for column in found["columns"]] == [
        ("id", "BIGINT"), ("customer", "TEXT"), ("size", "VARCHAR(5)"), ("amount", "NUMERIC(10, 2)"), ("placed", "TIMESTAMP"), ("paid", "TIMESTAMP")]
    assert found["key"] == ["id"] and found["enums"] == [["size", ["small", "large"]]]
    assert found["star"] == [[1, "ann", "small", 1.5], [2, "ann", "large", 2.25], [3, "bob", None, 4.0]]
    assert found["lab"] == [["ann", 3.75], ["bob", 4.0]]
    assert found["grains"] > 10 and not found["failed_grains"], found["failed_grains"]
    assert found["chart"] == [["2024-05-01", 3.75], ["2024-06-01", 4.0]]
    assert node.sql("SELECT query, error FROM millrace.unanswered") == []
