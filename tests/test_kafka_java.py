"""Apache Kafka's Java client, of two versions, against the Kafka listener: producers, groups, admin (tests/clients/KafkaClient.java)."""
import os
import subprocess

import pytest

from deps import DEPS
from node import ROOT
from test_kafka import SQL, wait_for


VERSIONS = ["3.9.1", "4.1.1"]


def java(version, node, step, env=None):
    done = subprocess.run(["java", "-Xmx256m", "-cp", f"{DEPS}/kafka-clients-{version}/*", ROOT / "tests" / "clients" / "KafkaClient.java", node.kafka, step],
                          capture_output=True, text=True, timeout=180, env={**os.environ, **(env or {})})
    assert done.returncode == 0 and done.stdout.strip() == "done", done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_the_java_client_produces_consumes_in_groups_and_administers(make_node, version):
    node = make_node(SQL)
    node.start()
    java(version, node, "round-trip")
    java(version, node, "admin")
    wait_for(lambda: sum(row[0] for row in node.sql("SELECT clicks FROM by_product")) == 5000)
    products = {row[0]: row[1] for row in node.sql("SELECT product, clicks FROM by_product")}
    assert products == {codec: 1000 for codec in ["none", "gzip", "snappy", "lz4", "zstd"]}
    node.stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_transactions_are_seen_whole_or_not_at_all_by_clients_and_views(make_node, version):
    node = make_node(SQL + "CREATE STREAM copied (text VARCHAR);")
    node.start()
    java(version, node, "transactions")
    wait_for(lambda: {row[0]: row[1] for row in node.sql("SELECT product, clicks FROM by_product")} == {"round0": 10, "round2": 10})
    node.kill()
    node.start()
    wait_for(lambda: {row[0]: row[1] for row in node.sql("SELECT product, clicks FROM by_product")} == {"round0": 10, "round2": 10})
    assert node.get("/v1/ledger")["balanced"] is True
    node.stop()
