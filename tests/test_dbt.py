"""dbt with its PostgreSQL adapter, unmodified: materialized views, views, tests, sources and docs of a project. For `make test-all`: it is large."""
import json
import os
import subprocess

import pytest

from heavy import installed
from pg_node import host_port

PACKAGES = ["dbt-core==1.10.23", "dbt-postgres==1.9.1"]
PROJECT = """
CREATE STREAM orders (id BIGINT NOT NULL, customer VARCHAR, amount DECIMAL(10,2));
"""
FILES = {
    "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\nmodels:\n  shop:\n    +materialized: materialized_view\n",
    "models/models.yml": """
version: 2
sources:
  - name: public
    schema: public
    tables:
      - name: orders
        columns:
          - name: id
            data_tests: [not_null, unique]
models:
  - name: spent
    description: What each customer spent
    columns:
      - name: customer
        data_tests: [not_null, unique]
""",
    "models/spent.sql": "select customer, sum(amount) as total, count(*) as n from {{ source('public', 'orders') }} group by customer\n",
    "models/large.sql": "{{ config(materialized='view') }}\nselect * from {{ ref('spent') }} where total > 100\n",
}


@pytest.fixture(scope="module")
def dbt():
    folder = installed("dbt-1.10.23", PACKAGES)
    return folder / "bin/dbt"


def test_a_project_is_built_again_and_again_and_tested(node, dbt, tmp_path):
    host, port = host_port(node)
    output = {"type": "postgres", "host": host, "port": port, "user": "ann", "password": "x", "dbname": "millrace", "schema": "public", "threads": 2}
    (tmp_path / "dbt/models").mkdir(parents=True)
    for name, text in FILES.items():
        (tmp_path / "dbt" / name).write_text(text)
    (tmp_path / "dbt/profiles.yml").write_text(json.dumps({"shop": {"target": "dev", "outputs": {"dev": output}}}))
    node.sql("INSERT INTO orders SELECT i, 'c' || (i % 3), i FROM range(30) r(i)")

    def run(*arguments):
        environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "False", "PYTHONPATH": ""}
        done = subprocess.run([dbt, "--no-use-colors", *arguments, "--profiles-dir", "."], cwd=tmp_path / "dbt", env=environment, capture_output=True,
                              text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "All checks passed" in run("debug")
    for _ in range(2):  # creates, then finds all as it is
        assert "PASS=2 WARN=0 ERROR=0" in run("run")
    assert "PASS=4 WARN=0 ERROR=0" in run("test")
    assert node.sql("SELECT customer, total::VARCHAR, n FROM large ORDER BY customer") == [
        ["c0", "135.00", 10], ["c1", "145.00", 10], ["c2", "155.00", 10]]
    node.sql("INSERT INTO orders VALUES (100, 'c0', 1000)")
    assert node.sql("SELECT total::VARCHAR FROM large WHERE customer = 'c0'") == [["1135.00"]]
    run("docs", "generate")
    catalog = json.loads((tmp_path / "dbt/target/catalog.json").read_text())
    assert set(catalog["nodes"]["model.shop.spent"]["columns"]) == {"customer", "total", "n"}
