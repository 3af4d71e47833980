"""Clients of other languages against the PostgreSQL listener, unmodified: pgx and PostgreSQL's JDBC driver."""
import os
import subprocess

import pytest

from deps import DEPS
from node import ROOT
from pg_node import SQL


def run(arguments, cwd=None, env=None, timeout=300):
    done = subprocess.run([str(argument) for argument in arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture
def node(make_node):
    node = make_node(SQL)
    node.start()
    yield node
    node.stop()


def test_pgx_in_all_its_modes(node, tmp_path):
    run(["go", "build", "-o", tmp_path / "client", "."], cwd=ROOT / "tests" / "clients" / "pgx",
        env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}, timeout=400)
    assert run([tmp_path / "client", f"postgres://ann@{node.pg}/millrace"]) == "done"


def test_jdbc_reads_writes_and_looks_around(node):
    out = run(["java", "-Xmx256m", "-Duser.timezone=Europe/London", "-cp", f"{DEPS}/jdbc-42.7.4/*", ROOT / "tests" / "clients" / "PgClient.java",
               f"jdbc:postgresql://{node.pg}/millrace"])
    assert out == "done"
    assert node.sql("SELECT query, error FROM millrace.unanswered") == []
