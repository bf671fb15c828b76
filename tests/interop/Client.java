// SPDX-License-Identifier: Apache-2.0
// pgjdbc as an agent: prepared statements (server-side after the first), batches, COPY, a refusal.
import java.io.StringReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.postgresql.PGConnection;

public class Client {
  public static void main(String[] arguments) throws Exception {
    String url = "jdbc:postgresql://127.0.0.1:5432/postgres?user=app&prepareThreshold=1&binaryTransfer=true";
    try (Connection c = DriverManager.getConnection(url)) {
      try (PreparedStatement s = c.prepareStatement("SELECT id, email, score FROM shop.customers WHERE id = ?")) {
        for (int n = 1; n <= 6; n++) {
          s.setInt(1, 1 + n % 2);
          try (ResultSet r = s.executeQuery()) {
            r.next();
            System.out.println("row " + r.getInt(1) + " " + r.getString(2) + " " + r.getDouble(3));
          }
        }
      }
      try (ResultSet tables = c.getMetaData().getTables(null, "shop", "%", null)) {
        int count = 0;
        while (tables.next()) count++;
        System.out.println("tables " + (count > 3));
      }
      c.setAutoCommit(false);
      try (PreparedStatement s = c.prepareStatement("INSERT INTO shop.notes (body) VALUES (?)")) {
        for (int n = 0; n < 200; n++) {
          s.setString(1, "batch " + n);
          s.addBatch();
        }
        System.out.println("batch " + s.executeBatch().length);
      }
      c.commit();
      try (PreparedStatement s = c.prepareStatement("SELECT n FROM shop.numbers ORDER BY n")) {
        s.setFetchSize(50);
        long sum = 0;
        try (ResultSet r = s.executeQuery()) {
          while (r.next()) sum += r.getInt(1);
        }
        System.out.println("fetched " + sum);
      }
      try (PreparedStatement s = c.prepareStatement("DELETE FROM shop.notes WHERE id = ?")) {
        s.setInt(1, 1);
        s.executeUpdate();
      } catch (SQLException refused) {
        System.out.println("refused " + refused.getSQLState());
      }
      c.rollback();
      long rows = c.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY shop.notes (body) FROM STDIN",
          new StringReader("a\nb\n"));
      System.out.println("copied " + rows);
      c.commit();
    }
  }
}
