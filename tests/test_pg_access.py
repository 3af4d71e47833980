"""Who may use the PostgreSQL listener: anybody on loopback, users by SCRAM, tokens, scopes, TLS."""
import subprocess

import pytest

from pg_node import SQL, dsn, psql
from test_access import PASSWORD, access, token, user, within_seconds
from test_tls import Authority


def connect(node, **more):
    import psycopg2
    return psycopg2.connect(dsn(node, **{name: f"'{value}'" for name, value in more.items()}))


def refused(node, **more):
    import psycopg2
    with pytest.raises(psycopg2.OperationalError) as error:
        connect(node, **more)
    return str(error.value)


def test_users_sign_in_by_scram_and_do_what_their_scopes_say(make_node):
    import psycopg2
    node = make_node(SQL)
    node.start()
    early = connect(node)
    early.cursor().execute("SELECT 1")
    user(node, "alice", "sql")
    user(node, "root", "admin")
    user(node, "reader", "read:*")
    within_seconds(lambda: psql(node, "SELECT 1", check=False, user="nobody").count("password") > 0)
    assert "authentication failed" in refused(node, user="alice", password="wrong password")
    assert "authentication failed" in refused(node, user="nobody", password=PASSWORD)
    assert "no scope sql" in refused(node, user="reader", password=PASSWORD)
    with pytest.raises(psycopg2.Error):  # whoever came before is asked too
        early.cursor().execute("SELECT 1")
    alice = connect(node, user="alice", password=PASSWORD)
    alice.autocommit = True
    cursor = alice.cursor()
    cursor.execute("INSERT INTO products (id, name) VALUES (1, 'x')")
    cursor.execute("SELECT current_user, session_user, version()")
    assert cursor.fetchone()[0] == "alice"
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("CREATE VIEW v AS SELECT 1")
    root = connect(node, user="root", password=PASSWORD)
    root.autocommit = True
    root.cursor().execute("CREATE VIEW v AS SELECT 1 AS one")
    access(node, "user", "drop", "alice")

    def is_out():
        try:
            cursor.execute("SELECT 1")
            return False
        except psycopg2.Error:
            return True

    within_seconds(is_out)
    node.stop()


def test_tokens_are_passwords_of_the_user_token(make_node):
    node = make_node(SQL)
    text = token(node, "sql")
    node.start()
    connection = connect(node, user="token", password=text)
    cursor = connection.cursor()
    cursor.execute("SELECT count(*) FROM products")
    assert cursor.fetchone() == (0,)
    assert "authentication failed" in refused(node, user="token", password=text + "x")
    assert "authentication failed" in refused(node, user="ann", password=text)
    node.stop()


def test_tls_is_offered_where_there_is_a_certificate(make_node, tmp_path):
    authority = Authority(tmp_path / "pki")
    node = make_node(SQL, *authority.flags, "--tls", "pg")
    node.start()
    for mode, root in [("verify-full", authority.root), ("require", None)]:
        done = subprocess.run(["psql", "-X", "-A", "-t", dsn(node, host="localhost", sslmode=mode, **({"sslrootcert": root} if root else {})), "-c", "SELECT 1"],
                              capture_output=True, text=True, timeout=60)
        assert done.stdout == "1\n", done.stderr
    assert psql(node, "SELECT 1", flags=("-X", "-A", "-t"), user="ann sslmode=disable") == "1\n"
    assert node.metric("pg_tls_handshakes_total") == 2
    import asyncio
    import asyncpg
    import ssl

    async def run():
        host, port = node.pg.rsplit(":", 1)
        context = ssl.create_default_context(cafile=str(authority.root))
        connection = await asyncpg.connect(host="localhost", port=int(port), user="ann", database="millrace", ssl=context)
        assert await connection.fetchval("SELECT sum(i) FROM range(100000) t(i)") == 4999950000
        assert len(await connection.fetch("SELECT i, repeat('x', 100) FROM range(20000) t(i)")) == 20000
        await connection.close()

    asyncio.run(run())
    node.stop()
