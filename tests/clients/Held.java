import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLWarning;
import java.util.Properties;

/** JDBC: runs a statement that waits for approval; a socket timeout is shorter than the wait, and notices reset it. */
public final class Held {
    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
        properties.setProperty("socketTimeout", "8");
        try (Connection connection = DriverManager.getConnection(url, properties);
                PreparedStatement statement = connection.prepareStatement("DELETE FROM held_rows WHERE id = ?")) {
            statement.setInt(1, Integer.parseInt(arguments[0]));
            System.out.println("deleted " + statement.executeUpdate());
            int notices = 0;
            for (SQLWarning warning = statement.getWarnings(); warning != null; warning = warning.getNextWarning()) {
                notices++;
            }
            System.out.println("notices " + notices);
            connection.createStatement().execute("SELECT 1");
        }
    }
}
