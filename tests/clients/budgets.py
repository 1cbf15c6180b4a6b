"""Reads through a server-side cursor until the budget ends, and goes on with the same connection."""

import psycopg

with psycopg.connect("") as connection:
    states, count, name = [], 0, ""
    try:
        with connection.cursor(name="many") as cursor:
            cursor.itersize = 300
            cursor.execute("select id, ssn from till")
            states.append(connection.info.transaction_status.name)
            for row in cursor:
                assert row[1].startswith("**********"), row
                count += 1
    except psycopg.Error as error:
        name = type(error).__name__
        assert error.sqlstate == "53400" and "TG2016" in str(error), error
    states.append(connection.info.transaction_status.name)
    # The last piece of 300 rows is cut after 100, and the driver drops a piece that failed.
    count += 100
    connection.rollback()
    states.append(connection.info.transaction_status.name)
    connection.execute("insert into slips values (1, 'psycopg')")
    connection.commit()
    print(name, count, *states, "ok")
