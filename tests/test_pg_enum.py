"""ENUM types in pg_catalog, as clients of PostgreSQL look for them."""
import asyncio
import subprocess

from deps import DEPS
from pg_node import dsn, host_port, psql

PROJECT = """
CREATE TYPE size AS ENUM ('small', 'mid', 'a lot');
CREATE TYPE "Odd Name" AS ENUM ('x');
CREATE TABLE boxes (id BIGINT PRIMARY KEY, size size, sizes size[], plain ENUM('on', 'off'), odd "Odd Name");
CREATE MATERIALIZED VIEW by_size AS SELECT size, count(*) AS n FROM boxes GROUP BY size;
COMMENT ON TYPE size IS 'how large';
"""


def lines(node, *commands):
    return psql(node, *commands, flags=("-X", "-q", "-A", "-t")).splitlines()


def test_psql_shows_types_and_columns(node):
    assert lines(node, "\\dT+") == ['public|"Odd Name"|Odd Name|4|x|millrace||', "public|enum_" + node_enum(node) + "|enum_" + node_enum(node) + "|4|on", "off|millrace||",
                                   "public|size|size|4|small", "mid", "a lot|millrace||how large"]
    assert [line.split("|")[:2] for line in lines(node, "\\d boxes")[:5]] == [
        ["id", "bigint"], ["size", "size"], ["sizes", "size[]"], ["plain", "enum_" + node_enum(node)], ["odd", '"Odd Name"']]
    assert [line.split("|")[:2] for line in lines(node, "\\d by_size")] == [["size", "size"], ["n", "bigint"]]
    assert lines(node, "SELECT data_type, udt_schema, udt_name FROM information_schema.columns WHERE table_name = 'boxes' ORDER BY ordinal_position") == [
        "bigint|pg_catalog|int8", "USER-DEFINED|public|size", "ARRAY|public|_size", f"USER-DEFINED|public|enum_{node_enum(node)}", "USER-DEFINED|public|Odd Name"]
    assert lines(node, "SELECT 'size'::regtype::oid = t.oid, format_type(t.typarray, NULL) FROM pg_type t WHERE typname = 'size'") == ["t|size[]"]


def node_enum(node):
    return lines(node, "SELECT typname FROM pg_type WHERE typtype = 'e' AND typname LIKE 'enum!_%' ESCAPE '!'")[0].removeprefix("enum_")


def test_oids_outlive_restarts_and_other_types(node):
    question = "SELECT t.oid, t.typarray, t.typname, e.oid, e.enumlabel FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid ORDER BY 3, e.enumsortorder"
    before = lines(node, question)
    assert [int(line.split("|")[3]) for line in before if "|size|" in line] == sorted(int(line.split("|")[3]) for line in before if "|size|" in line)
    node.sql("CREATE TYPE another AS ENUM ('small', 'mid', 'a lot')")
    assert [line for line in lines(node, question) if "|another|" not in line] == before
    assert lines(node, "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'boxes'::regclass AND attname = 'size'")[0] in ("size", "another")
    node.sql("DROP TYPE another")
    node.kill()
    node.start()
    assert lines(node, question) == before


def test_clients_find_them(node):
    import asyncpg
    import psycopg
    import sqlalchemy
    from psycopg.types.enum import EnumInfo
    host, port = host_port(node)
    node.sql("INSERT INTO boxes VALUES (1, 'a lot', ['small', 'mid'], 'off', 'x')")
    with psycopg.connect(dsn(node), autocommit=True) as connection:
        info = EnumInfo.fetch(connection, "size")
        assert list(info.labels) == ["small", "mid", "a lot"]
        connection.execute("INSERT INTO boxes (id, size) VALUES (%s, %s)", (2, "mid"))
        assert connection.execute("SELECT size, sizes, plain FROM boxes ORDER BY id").fetchall() == [("a lot", ["small", "mid"], "off"), ("mid", None, None)]
    inspector = sqlalchemy.inspect(sqlalchemy.create_engine(f"postgresql+psycopg2://ann@{host}:{port}/millrace"))
    columns = {column["name"]: column["type"] for column in inspector.get_columns("boxes")}
    assert columns["size"].enums == ["small", "mid", "a lot"] and columns["size"].name == "size"
    assert columns["sizes"].item_type.enums == ["small", "mid", "a lot"]
    assert columns["plain"].enums == ["on", "off"]
    assert [(enum["name"], enum["labels"]) for enum in inspector.get_enums()][0] == ("Odd Name", ["x"])

    async def with_asyncpg():
        connection = await asyncpg.connect(host=host, port=port, user="ann", database="millrace")
        assert [dict(row) for row in await connection.fetch("SELECT id, size FROM boxes WHERE size = $1", "mid")] == [{"id": 2, "size": "mid"}]
        oid = await connection.fetchval("SELECT oid FROM pg_type WHERE typname = 'size'")
        types, _ = await connection._introspect_types([oid], 5)
        assert [row["name"] for row in types if row["oid"] == oid] == ["size"]
        # It tells by pg_type.typtype that the type is no row. Values come as text, which needs no codec.
        await connection.set_type_codec("size", encoder=str, decoder=str)
        await connection.close()
    asyncio.run(with_asyncpg())
    assert node.sql("SELECT query, error FROM millrace.unanswered") == []


def test_jdbc_shows_the_type_of_a_column(node, tmp_path):
    (tmp_path / "Types.java").write_text("""
import java.sql.*;
public class Types {
  public static void main(String[] arguments) throws Exception {
    try (Connection connection = DriverManager.getConnection(arguments[0], "ann", "")) {
      ResultSet columns = connection.getMetaData().getColumns(null, "public", "boxes", "%");
      while (columns.next()) System.out.println(columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME") + " " + columns.getInt("DATA_TYPE"));
      ResultSet types = connection.getMetaData().getTypeInfo();
      while (types.next()) if (types.getString("TYPE_NAME").contains("size")) System.out.println(types.getString("TYPE_NAME"));
    }
  }
}""")
    done = subprocess.run(["java", "-Xmx256m", "-cp", f"{DEPS}/jdbc-42.7.4/*", tmp_path / "Types.java", f"jdbc:postgresql://{node.pg}/millrace"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    out = done.stdout.splitlines()
    assert out[:2] == ["id int8 -5", "size size 12"] and "size" in out[5:], out
    assert node.sql("SELECT query, error FROM millrace.unanswered") == []
