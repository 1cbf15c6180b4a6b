// Reads every table named on the command line with text and with binary transfer; decoding must not fail. Dates and times
// without an end, and NULL, are objects too. Connection from PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD.
import java.sql.*;
import java.util.Properties;

public class Values {
    public static void main(String[] tables) throws Exception {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        for (boolean binary : new boolean[] {false, true}) {
            Properties p = new Properties();
            p.setProperty("user", System.getenv("PGUSER"));
            p.setProperty("password", System.getenv("PGPASSWORD"));
            p.setProperty("sslmode", "disable");
            p.setProperty("binaryTransfer", Boolean.toString(binary));
            // Binary at the first execution.
            p.setProperty("prepareThreshold", binary ? "-1" : "0");
            try (Connection c = DriverManager.getConnection(url, p)) {
                for (String table : tables) {
                    try (PreparedStatement s = c.prepareStatement("select * from " + table + " order by id"); ResultSet r = s.executeQuery()) {
                        while (r.next()) {
                            StringBuilder line = new StringBuilder(table);
                            for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                                Object value = r.getObject(i);
                                line.append('|').append(value instanceof Array ? r.getString(i) : value);
                            }
                            System.out.println(line);
                        }
                    }
                }
            }
        }
        System.out.println("decoded " + tables.length + " tables");
    }
}
