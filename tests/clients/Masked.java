// Reads the clinic through JDBC in every query mode, text and binary, with and without a fetch size, and prints every value.
import java.sql.*;
import java.util.Properties;

public class Masked {
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
                p.setProperty("prepareThreshold", "2");
                try (Connection c = DriverManager.getConnection(url, p)) {
                    c.setAutoCommit(false);
                    for (int fetch : new int[] {0, 13}) {
                        for (int again = 0; again < 4; again++) print(c, "select * from clinic.patients order by patient_id", fetch);
                        print(c, "select * from clinic.notes", fetch);
                    }
                }
            }
        }
    }

    static void print(Connection c, String sql, int fetch) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            s.setFetchSize(fetch);
            ResultSet r = s.executeQuery();
            int columns = r.getMetaData().getColumnCount(), count = 0;
            StringBuilder text = new StringBuilder();
            while (r.next()) {
                count++;
                for (int i = 1; i <= columns; i++) text.append(r.getString(i)).append('|');
                text.append('\n');
            }
            System.out.println("rows: " + count);
            System.out.print(text);
        }
    }
}
