// JDBC: simple and extended protocol, server-prepared statements, binary transfer, fetch size, batches, COPY, savepoints,
// generated keys, cancel by query timeout, notifications. Connection from PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD.
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.*;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.core.BaseConnection;

public class WithJdbc {
    static void show(String label, Object value) { System.out.println(label + ": " + value); }

    static void rows(String label, ResultSet rows) throws SQLException {
        ResultSetMetaData meta = rows.getMetaData();
        StringBuilder head = new StringBuilder();
        for (int i = 1; i <= meta.getColumnCount(); i++) head.append(meta.getColumnLabel(i)).append('/').append(meta.getColumnTypeName(i)).append(' ');
        show(label, head);
        while (rows.next()) {
            StringBuilder line = new StringBuilder();
            for (int i = 1; i <= meta.getColumnCount(); i++) line.append(rows.getString(i)).append('|');
            show("row", line);
        }
    }

    interface Work { void run() throws Exception; }

    static void attempt(String label, Work work) throws Exception {
        try { work.run(); show(label, "done"); } catch (SQLException e) { show(label, e.getSQLState() + " " + e.getMessage()); }
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        for (String mode : new String[] {"extended", "extendedForPrepared", "simple", "extendedCacheEverything"}) {
            for (boolean binary : new boolean[] {false, true}) {
                Properties p = new Properties();
                p.setProperty("user", System.getenv("PGUSER"));
                p.setProperty("password", System.getenv("PGPASSWORD"));
                p.setProperty("sslmode", "disable");
                p.setProperty("preferQueryMode", mode);
                p.setProperty("binaryTransfer", Boolean.toString(binary));
                p.setProperty("prepareThreshold", "3");
                show("mode", mode + " " + binary);
                try (Connection c = DriverManager.getConnection(url, p)) { work(c, mode.equals("simple")); }
            }
        }
    }

    static void work(Connection c, boolean simple) throws Exception {
        show("product", c.getMetaData().getDatabaseProductVersion().split(" ")[0]);
        Statement s = c.createStatement();
        rows("all kinds", s.executeQuery("select i2,i4,i8,f4,f8,n,b,t,vc,c,by,d,tm,ts,tstz,u,jb,ia,ta,ip,bits,mood from kinds order by i4 limit 30"));
        boolean more = s.execute("select 1 as a; create temp table if not exists j (id serial, v text, n numeric); select 2 as b");
        do { if (more) rows("several", s.getResultSet()); else show("count", s.getUpdateCount()); more = s.getMoreResults(); } while (more || s.getUpdateCount() != -1);
        PreparedStatement p = c.prepareStatement("select i4, t, n, ts, by from kinds where i4 = ? and t like ?");
        for (int i = 0; i < 8; i++) { p.setInt(1, i); p.setString(2, "%"); rows("prepared " + i, p.executeQuery()); }
        PreparedStatement insert = c.prepareStatement("insert into j (v, n) values (?, ?)");
        for (int i = 0; i < 600; i++) { insert.setString(1, "v" + i); insert.setBigDecimal(2, new BigDecimal(i + ".25")); insert.addBatch(); }
        show("batch", insert.executeBatch().length);
        PreparedStatement keys = c.prepareStatement("insert into j (v) values (?)", Statement.RETURN_GENERATED_KEYS);
        keys.setString(1, "key");
        keys.executeUpdate();
        rows("keys", keys.getGeneratedKeys());
        c.setAutoCommit(false);
        PreparedStatement paged = c.prepareStatement("select id, v, n from j order by id");
        paged.setFetchSize(50);
        ResultSet r = paged.executeQuery();
        int count = 0; long sum = 0;
        while (r.next()) { count++; sum += r.getInt(1); }
        show("paged", count + " " + sum);
        r.close();
        Savepoint point = c.setSavepoint();
        attempt("duplicate", () -> s.execute("insert into parents values (1, 'x')"));
        attempt("in failed transaction", () -> s.execute("select 1"));
        c.rollback(point);
        rows("after savepoint", s.executeQuery("select count(*) from j"));
        c.commit();
        c.setAutoCommit(true);
        attempt("syntax", () -> s.execute("selec 1"));
        attempt("no table", () -> s.executeQuery("select * from nowhere"));
        s.setQueryTimeout(1);
        // Where a process stands still the request to cancel can overtake its statement, which then ends by itself.
        attempt("cancelled", () -> { for (int tries = 0; tries < 4; tries++) s.execute("select pg_sleep(20)"); });
        s.setQueryTimeout(0);
        s.execute("do $$ begin raise notice 'to java'; end $$");
        show("warning", s.getWarnings() == null ? "none" : s.getWarnings().getMessage());
        DatabaseMetaData meta = c.getMetaData();
        ResultSet columns = meta.getColumns(null, "public", "kinds", null);
        while (columns.next()) show("column", columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
        ResultSet primary = meta.getPrimaryKeys(null, "public", "parents");
        while (primary.next()) show("key", primary.getString("COLUMN_NAME"));
        if (!simple) {
            CopyManager copy = new CopyManager((BaseConnection) c);
            show("copy in", copy.copyIn("copy j (v) from stdin", new StringReader("a\nb\nc\n")));
            StringWriter text = new StringWriter();
            copy.copyOut("copy (select v from j order by id limit 20) to stdout", text);
            show("copy out", text);
        }
        if (!simple) {
            CallableStatement call = c.prepareCall("{? = call add_one(?)}");
            call.registerOutParameter(1, Types.INTEGER);
            call.setInt(2, 41);
            call.execute();
            show("function", call.getInt(1));
        }
        s.execute("listen java_news");
        s.execute("notify java_news, 'payload'");
        for (org.postgresql.PGNotification n : c.unwrap(PGConnection.class).getNotifications(60000)) show("notified", n.getName() + " " + n.getParameter());
        s.execute("drop table j");
    }
}
