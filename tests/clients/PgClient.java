// A client of PostgreSQL in Java: the JDBC driver, with prepared statements, fetch sizes, batches and metadata. Prints "done".
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

public class PgClient {
  static void expect(boolean ok, Object what) {
    if (!ok) throw new AssertionError(String.valueOf(what));
  }

  static List<String> names(ResultSet rows, String column) throws SQLException {
    List<String> names = new ArrayList<>();
    while (rows.next()) names.add(rows.getString(column));
    return names;
  }

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("user", "ann");
    try (Connection connection = DriverManager.getConnection(arguments[0], properties)) {
      try (Statement statement = connection.createStatement()) {
        statement.executeUpdate("DELETE FROM products");
        statement.executeUpdate("DELETE FROM bag");
      }
      // From the fifth execution on it is a named statement, with columns in binary.
      try (PreparedStatement statement = connection.prepareStatement(
               "SELECT ?::BIGINT + 1 AS n, 12345.678::DECIMAL(18,3) AS d, TIMESTAMPTZ '2024-02-29 12:34:56+00' AS stamp, 'ä' AS t, ARRAY[1, 2] AS l, 0.1::DOUBLE AS f")) {
        for (int i = 0; i < 10; ++i) {
          statement.setLong(1, i);
          try (ResultSet rows = statement.executeQuery()) {
            expect(rows.next(), "no row");
            expect(rows.getLong("n") == i + 1, rows.getLong("n"));
            expect(rows.getBigDecimal("d").equals(new BigDecimal("12345.678")), rows.getBigDecimal("d"));
            expect(rows.getTimestamp("stamp").toInstant().toString().equals("2024-02-29T12:34:56Z"), rows.getTimestamp("stamp"));
            expect(rows.getString("t").equals("ä"), rows.getString("t"));
            expect(((Integer[]) rows.getArray("l").getArray()).length == 2, "list");
            expect(rows.getDouble("f") == 0.1, rows.getDouble("f"));
          }
        }
      }
      // The driver sends the time zone of its machine, which the test says is London's.
      try (Statement statement = connection.createStatement();
           ResultSet rows = statement.executeQuery("SELECT TIMESTAMPTZ '2024-07-01 12:00:00+00' AS stamp, (TIMESTAMPTZ '2024-07-01 23:30:00+00')::DATE AS day, "
                                                   + "current_setting('TimeZone') AS zone")) {
        expect(rows.next() && rows.getString("stamp").equals("2024-07-01 13:00:00+01"), rows.getString("stamp"));
        expect(rows.getString("day").equals("2024-07-02"), rows.getString("day"));
        expect(rows.getString("zone").equals("Europe/London"), rows.getString("zone"));
        expect(rows.getObject("stamp", java.time.OffsetDateTime.class).toInstant().toString().equals("2024-07-01T12:00:00Z"), "instant");
      }
      connection.setAutoCommit(false);
      try (PreparedStatement statement = connection.prepareStatement("INSERT INTO products (id, name, price) VALUES (?, ?, ?)")) {
        for (int i = 0; i < 100; ++i) {
          statement.setLong(1, i);
          statement.setString(2, "name" + i);
          statement.setBigDecimal(3, new BigDecimal("1.25"));
          statement.addBatch();
        }
        expect(statement.executeBatch().length == 100, "batch");
      }
      connection.commit();
      try (Statement statement = connection.createStatement()) {
        statement.setFetchSize(7);
        try (ResultSet rows = statement.executeQuery("SELECT id FROM products ORDER BY id")) {
          for (int i = 0; i < 100; ++i) expect(rows.next() && rows.getLong(1) == i, i);
          expect(!rows.next(), "too many");
        }
      }
      connection.rollback();
      try (Statement statement = connection.createStatement()) {
        statement.executeUpdate("INSERT INTO products (id, name) VALUES (1, 'again')");
        expect(false, "a duplicate went in");
      } catch (SQLException error) {
        expect(error.getSQLState().equals("23505"), error);
      }
      connection.rollback();
      connection.setAutoCommit(true);
      try (Statement statement = connection.createStatement()) {
        statement.setQueryTimeout(1);
        statement.executeQuery("SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range + b.range = 7");
        expect(false, "the query was not cancelled");
      } catch (SQLException error) {
        expect(error.getSQLState().equals("57014"), error);
      }

      DatabaseMetaData data = connection.getMetaData();
      expect(data.getDatabaseMajorVersion() == 15, data.getDatabaseProductVersion());
      expect(names(data.getSchemas(), "TABLE_SCHEM").contains("public"), "schemas");
      expect(names(data.getCatalogs(), "TABLE_CAT").contains("millrace"), "catalogs");
      expect(names(data.getTableTypes(), "TABLE_TYPE").contains("MATERIALIZED VIEW"), "types");
      List<String> tables = names(data.getTables(null, "public", "%", new String[] {"TABLE", "VIEW", "MATERIALIZED VIEW"}), "TABLE_NAME");
      expect(tables.containsAll(List.of("clicks", "products", "bag", "by_product", "cheap")), tables);
      try (ResultSet rows = data.getColumns(null, "public", "products", "%")) {
        expect(rows.next() && rows.getString("COLUMN_NAME").equals("id") && rows.getInt("DATA_TYPE") == Types.BIGINT && rows.getString("IS_NULLABLE").equals("NO"), "id");
        expect(rows.next() && rows.getString("TYPE_NAME").equals("text"), "name");
        expect(rows.next() && rows.getInt("COLUMN_SIZE") == 10 && rows.getInt("DECIMAL_DIGITS") == 2, "price");
        expect(rows.next() && rows.getString("TYPE_NAME").equals("_text") && !rows.next(), "tags");
      }
      expect(names(data.getPrimaryKeys(null, "public", "products"), "COLUMN_NAME").equals(List.of("id")), "primary key");
      expect(names(data.getIndexInfo(null, "public", "products", false, false), "COLUMN_NAME").contains("id"), "index");
      expect(!data.getImportedKeys(null, "public", "products").next() && !data.getExportedKeys(null, "public", "products").next(), "foreign keys");
      names(data.getTypeInfo(), "TYPE_NAME");
      names(data.getFunctions(null, "public", "%"), "FUNCTION_NAME");
      names(data.getProcedures(null, "public", "%"), "PROCEDURE_NAME");
      names(data.getTablePrivileges(null, "public", "%"), "PRIVILEGE");
      names(data.getColumnPrivileges(null, "public", "products", "%"), "PRIVILEGE");
      names(data.getBestRowIdentifier(null, "public", "products", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME");
    }
    System.out.println("done");
  }
}
