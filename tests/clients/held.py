"""psycopg 3: a statement that waits for approval, with notices, by parameters, in a pipeline, and cancelled."""
import sys
import threading

import psycopg

how, number = sys.argv[1], int(sys.argv[2])
notices = []
with psycopg.connect(autocommit=True) as conn:

    def noticed(said):
        notices.append(said.message_primary)
        # A notice says that the statement is there and waits: a cancellation before it would come too early.
        if how == "cancel" and len(notices) == 3:
            threading.Thread(target=conn.cancel).start()

    conn.add_notice_handler(noticed)
    if how == "run":
        print("deleted", conn.execute("DELETE FROM held_rows WHERE id = %s", (number,)).rowcount)
    elif how == "pipeline":
        with conn.pipeline() as pipeline:
            first = conn.execute("SELECT 1")
            # What ran before in the same implicit transaction keeps its locks.
            pipeline.sync()
            held = conn.execute("DELETE FROM held_rows WHERE id = %s", (number,))
            last = conn.execute("SELECT 3")
        print("deleted", held.rowcount, first.fetchone(), last.fetchone())
    elif how == "cancel":
        try:
            conn.execute("DELETE FROM held_rows WHERE id = %s", (number,))
        except psycopg.errors.QueryCanceled as error:
            print("cancelled", error.sqlstate)
    print("notices", len(notices))
    print("after", conn.execute("SELECT 42").fetchone()[0])
