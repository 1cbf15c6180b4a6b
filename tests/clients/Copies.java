// JDBC: CopyManager in CSV against the SELECT of the same columns, row by row, then the whole table in text and binary.
// Connection from PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD.
import java.io.ByteArrayOutputStream;
import java.io.StringWriter;
import java.sql.*;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Copies {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("password", System.getenv("PGPASSWORD"));
        p.setProperty("sslmode", "disable");
        String query = "select patient_id, ssn, mrn, phone, email, zip, state from clinic.patients order by patient_id";
        try (Connection c = DriverManager.getConnection(url, p)) {
            CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
            StringWriter csv = new StringWriter();
            copies.copyOut("copy (" + query + ") to stdout (format csv)", csv);
            String[] lines = csv.toString().split("\n");
            int row = 0;
            try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(query)) {
                for (; r.next(); row++) {
                    StringBuilder line = new StringBuilder();
                    for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                        String value = r.getString(i);
                        line.append(i > 1 ? "," : "").append(value == null ? "" : value);
                    }
                    if (!line.toString().equals(lines[row])) throw new IllegalStateException(line + " is not " + lines[row]);
                }
            }
            if (row != lines.length) throw new IllegalStateException(row + " rows, " + lines.length + " lines");
            System.out.println(lines[6]);
            for (String options : new String[] {"", "(format binary)"}) {
                ByteArrayOutputStream all = new ByteArrayOutputStream();
                copies.copyOut("copy clinic.patients to stdout " + options, all);
                System.out.println(all.size() > 240 ? "copied" : "too little");
            }
            System.out.println("same: " + row + " rows");
        }
    }
}
