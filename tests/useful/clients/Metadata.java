// What BI tools and IDEs ask of a JDBC driver when they connect, sync and browse; one JSON line per check.

import java.sql.*;
import java.util.*;

public class Metadata {
    interface Work { Object run() throws Exception; }

    static Connection connection;
    static DatabaseMetaData data;

    static String quoted(Object value) {
        if (value == null) return "null";
        return '"' + value.toString().replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"';
    }

    static String json(Object value) {
        if (value instanceof List<?> list) {
            StringJoiner out = new StringJoiner(",", "[", "]");
            for (Object one : list) out.add(json(one));
            return out.toString();
        }
        if (value instanceof Map<?, ?> map) {
            StringJoiner out = new StringJoiner(",", "{", "}");
            for (Map.Entry<?, ?> one : map.entrySet()) out.add(quoted(one.getKey()) + ":" + json(one.getValue()));
            return out.toString();
        }
        return quoted(value);
    }

    static void check(String id, Map<String, String> masked, Work work) {
        Object value = null;
        String error = null;
        try {
            value = work.run();
        } catch (Exception failure) {
            error = failure.toString();
            try { if (!connection.getAutoCommit()) connection.rollback(); } catch (SQLException ignored) { error += " and no rollback"; }
        }
        System.out.println("{\"id\":" + quoted(id) + ",\"masked\":" + json(masked) + ",\"value\":" + json(value) + ",\"error\":" + quoted(error) + "}");
    }

    static void check(String id, Work work) { check(id, Map.of(), work); }

    // Rows as maps; columns named in `without` differ from run to run.
    static List<Object> rows(ResultSet result, String... without) throws SQLException {
        List<Object> rows = new ArrayList<>();
        ResultSetMetaData shape = result.getMetaData();
        while (result.next()) {
            Map<String, Object> row = new LinkedHashMap<>();
            for (int i = 1; i <= shape.getColumnCount(); i++)
                if (!Arrays.asList(without).contains(shape.getColumnLabel(i))) row.put(shape.getColumnLabel(i), result.getString(i));
            rows.add(row);
        }
        return rows;
    }

    static List<Object> ask(String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) statement.setObject(i + 1, parameters[i]);
            return rows(statement.executeQuery());
        }
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> env = System.getenv();
        String url = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE") + "?sslmode=disable";
        connection = DriverManager.getConnection(url, env.get("PGUSER"), env.get("PGPASSWORD"));
        data = connection.getMetaData();
        check("jdbc/product", () -> List.of(data.getDatabaseProductName(), data.getDatabaseProductVersion(), data.supportsTransactions(), data.getIdentifierQuoteString(), connection.getCatalog(), String.valueOf(connection.getSchema())));
        check("jdbc/keywords-and-limits", () -> List.of(data.getSQLKeywords(), data.getMaxColumnNameLength(), data.getMaxIndexLength()));
        check("jdbc/catalogs", () -> rows(data.getCatalogs()));
        check("jdbc/schemas", () -> rows(data.getSchemas()));
        check("jdbc/table-types", () -> rows(data.getTableTypes()));
        check("jdbc/type-info", () -> rows(data.getTypeInfo()));
        check("jdbc/tables", () -> rows(data.getTables(null, null, "%", new String[] {"TABLE", "PARTITIONED TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE"})));
        for (String schema : List.of("clinic", "billing", "lab", "stock", "org", "reporting", "workbench")) check("jdbc/columns-" + schema, () -> rows(data.getColumns(null, schema, "%", "%")));
        check("jdbc/primary-keys", () -> List.of(rows(data.getPrimaryKeys(null, "clinic", "patients")), rows(data.getPrimaryKeys(null, "stock", "levels"))));
        check("jdbc/imported-keys", () -> List.of(rows(data.getImportedKeys(null, "clinic", "encounters")), rows(data.getImportedKeys(null, "billing", "claims"))));
        check("jdbc/exported-keys", () -> rows(data.getExportedKeys(null, "clinic", "encounters")));
        check("jdbc/cross-reference", () -> rows(data.getCrossReference(null, "clinic", "patients", null, "clinic", "encounters")));
        check("jdbc/index-info", () -> List.of(rows(data.getIndexInfo(null, "billing", "claims", false, true), "CARDINALITY", "PAGES"), rows(data.getIndexInfo(null, "stock", "items", true, true), "CARDINALITY", "PAGES")));
        check("jdbc/functions-and-procedures", () -> List.of(rows(data.getFunctions(null, "stock", "%"), "SPECIFIC_NAME"), rows(data.getProcedures(null, "stock", "%"), "SPECIFIC_NAME")));
        check("jdbc/function-columns", () -> rows(data.getFunctionColumns(null, "stock", "reorder_point", "%"), "SPECIFIC_NAME"));
        check("jdbc/privileges", () -> List.of(rows(data.getTablePrivileges(null, "stock", "items")), rows(data.getColumnPrivileges(null, "stock", "items", "sku"))));
        check("jdbc/best-row-identifier", () -> rows(data.getBestRowIdentifier(null, "stock", "items", DatabaseMetaData.bestRowSession, true)));
        check("jdbc/version-columns", () -> rows(data.getVersionColumns(null, "stock", "items")));
        check("jdbc/user-defined-types", () -> rows(data.getUDTs(null, "billing", "%", null)));
        check("jdbc/client-info", () -> rows(data.getClientInfoProperties()));
        check("jdbc/result-set-metadata", () -> {
            try (PreparedStatement statement = connection.prepareStatement("select p.*, e.charge * 2 as twice from clinic.patients p join clinic.encounters e using (patient_id)")) {
                ResultSetMetaData shape = statement.getMetaData();
                List<Object> columns = new ArrayList<>();
                for (int i = 1; i <= shape.getColumnCount(); i++)
                    columns.add(List.of(shape.getColumnName(i), shape.getTableName(i), shape.getSchemaName(i), shape.getColumnTypeName(i), shape.isNullable(i), shape.isAutoIncrement(i), shape.getPrecision(i)));
                return columns;
            }
        });
        check("jdbc/parameter-metadata", () -> {
            try (PreparedStatement statement = connection.prepareStatement("select sku from stock.items where item_id = ? and category = ?")) {
                ParameterMetaData shape = statement.getParameterMetaData();
                return List.of(shape.getParameterCount(), shape.getParameterTypeName(1), shape.getParameterTypeName(2));
            }
        });
        // As a BI tool's sync does: every table's first rows, then the values of a column.
        for (String table : List.of("clinic.departments", "stock.items", "stock.levels", "stock.movements", "lab.tests", "org.units", "workbench.targets"))
            check("metabase-sync/" + table, () -> ask("select * from " + table + " order by 1, 2 limit 10000"));
        check("metabase-sync/clinic.patients", Map.of("mrn", "token", "ssn", "last4", "first_name", "null", "last_name", "null", "dob", "year", "phone", "lastx4", "email", "hidden", "street", "null", "zip", "zip3", "city", "null"),
            () -> ask("select patient_id, mrn, ssn, first_name, last_name, dob, phone, email, street, zip, city, state from clinic.patients order by 1 limit 10000"));
        check("metabase-sync/org.people", Map.of("full_name", "null", "email", "hidden", "phone", "lastx4", "badge", "null", "born_on", "year", "home_zip", "zip3"), () -> ask("select * from org.people order by 1 limit 10000"));
        check("metabase-sync/field-values", () -> List.of(ask("select category from stock.items group by category order by category limit 1001"), ask("select count(*) as count from clinic.patients")));
        check("metabase-sync/can-connect", () -> ask("select 1"));
        check("jdbc/server-prepared-after-five", () -> {
            List<Object> seen = new ArrayList<>();
            try (PreparedStatement statement = connection.prepareStatement("select encounter_id, department, charge from clinic.encounters where patient_id = ? order by 1")) {
                for (long id = 1; id <= 12; id++) { statement.setLong(1, id); seen.add(rows(statement.executeQuery())); }
            }
            return seen;
        });
        check("jdbc/fetch-size", Map.of("ssn", "last4"), () -> {
            connection.setAutoCommit(false);
            try (PreparedStatement statement = connection.prepareStatement("select patient_id, ssn, state from clinic.patients order by 1")) {
                statement.setFetchSize(20);
                List<Object> seen = rows(statement.executeQuery());
                connection.commit();
                return seen;
            } finally { connection.setAutoCommit(true); }
        });
        check("jdbc/batch-and-generated-keys", () -> {
            connection.setAutoCommit(false);
            try (PreparedStatement statement = connection.prepareStatement("insert into stock.movements (item_id, moved_at, quantity) values (?, ?, ?)", new String[] {"quantity"})) {
                for (int n = 1; n <= 200; n++) { statement.setInt(1, 1 + n % 100); statement.setTimestamp(2, Timestamp.valueOf("2024-03-04 05:06:07")); statement.setInt(3, n); statement.addBatch(); }
                int[] counts = statement.executeBatch();
                int keys = rows(statement.getGeneratedKeys()).size();
                connection.rollback();
                return List.of(counts.length, keys);
            } finally { connection.setAutoCommit(true); }
        });
        check("jdbc/savepoint", () -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                Savepoint here = connection.setSavepoint();
                String state = "";
                try { statement.executeQuery("select 1 / 0"); } catch (SQLException error) { state = error.getSQLState(); connection.rollback(here); }
                List<Object> after = rows(statement.executeQuery("select count(*) as n from stock.items"));
                connection.rollback();
                return List.of(state, after);
            } finally { connection.setAutoCommit(true); }
        });
        check("jdbc/updatable-result-set", () -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_SENSITIVE, ResultSet.CONCUR_UPDATABLE);
                 ResultSet result = statement.executeQuery("select department, goal from workbench.targets order by department")) {
                result.next();
                result.updateBigDecimal("goal", new java.math.BigDecimal("7"));
                result.updateRow();
                List<Object> after = ask("select goal from workbench.targets order by department limit 1");
                connection.rollback();
                return after;
            } finally { connection.setAutoCommit(true); }
        });
        check("jdbc/query-timeout-and-read-only", () -> {
            connection.setReadOnly(true);
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(10);
                return rows(statement.executeQuery("select count(*) as n from clinic.encounters"));
            } finally { connection.setReadOnly(false); }
        });
        connection.close();
    }
}
