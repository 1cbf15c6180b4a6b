"""psql at a terminal: a prompt, the tab key, and what it completes to."""
import os
import pty
import re
import select
import time

from checks import check


class Terminal:
    """psql behind a pseudo terminal."""

    def __init__(self):
        self.id, self.terminal = pty.fork()
        if self.id == 0:
            os.environ.update(TERM="dumb", PSQL_HISTORY="/dev/null", INPUTRC="/dev/null", PSQLRC="/dev/null", PAGER="cat")
            os.execvp("psql", ["psql", "-X", "-q", "-v", "PROMPT1=> ", "-P", "pager=off"])
        self.until("> ")

    def until(self, end, patience=15):
        """Reads up to a text."""
        seen, limit = "", time.monotonic() + patience
        while end not in seen and time.monotonic() < limit:
            if select.select([self.terminal], [], [], 0.2)[0]:
                seen += os.read(self.terminal, 4096).decode(errors="replace")
        return seen

    def quiet(self, patience=0.7):
        """Reads until nothing more comes."""
        seen = ""
        while select.select([self.terminal], [], [], patience)[0]:
            seen += os.read(self.terminal, 4096).decode(errors="replace")
        return seen

    def complete(self, typed, tabs=1):
        """What stands on the line after the tab key; the line is thrown away."""
        os.write(self.terminal, (typed + "\t" * tabs).encode())
        seen = self.quiet()
        os.write(self.terminal, b"\x15\x03")
        self.quiet(0.3)
        return re.sub(r"[\x07\r]", "", seen)


terminal = Terminal()
for name, typed, tabs in [
    ("relation", "select * from stock.lev", 1), ("schema", "select * from bil", 1), ("relations-of-a-schema", "select * from lab.", 2),
    ("columns", "insert into stock.levels (", 2), ("column-in-update", "update stock.levels set on_", 1), ("describe", "\\d clinic.pat", 1),
    ("function", "\\df stock.re", 1), ("setting", "set work_m", 1), ("keyword", "sel", 1), ("role", "set role gate", 1), ("drop-table", "drop table workbench.tar", 1),
]:
    check(f"completion/{name}")(lambda: terminal.complete(typed, tabs))
