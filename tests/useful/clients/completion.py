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
        self.asked, self.heard = 0, b""
        self.until("> ")

    def until(self, end, patience=60):
        """Reads up to a text; what comes behind it stays to be read."""
        limit = time.monotonic() + patience
        while end.encode() not in self.heard:
            if time.monotonic() > limit:
                raise TimeoutError(f"no {end!r} in {self.heard!r}")
            if select.select([self.terminal], [], [], 0.2)[0]:
                self.heard += os.read(self.terminal, 4096)
        seen, _, self.heard = self.heard.partition(end.encode())
        return seen.decode(errors="replace")

    def complete(self, typed, tabs=1):
        """What stands on the line after the tab key; the line is thrown away."""
        # What is typed behind the tab key is shown when the completion is, however long that takes.
        self.asked += 1
        mark = f"~{self.asked}~"
        os.write(self.terminal, (typed + "\t" * tabs + mark).encode())
        seen = self.until(mark)
        # An empty line again, and a prompt that is newer than the words in it.
        os.write(self.terminal, f"\x15\\echo 'empty' '{self.asked}'\n".encode())
        self.until(f"empty {self.asked}")
        self.until("> ")
        return re.sub(r"[\x07\r]", "", seen)


terminal = Terminal()
for name, typed, tabs in [
    ("relation", "select * from stock.lev", 1), ("schema", "select * from bil", 1), ("relations-of-a-schema", "select * from lab.", 2),
    ("columns", "insert into stock.levels (", 2), ("column-in-update", "update stock.levels set on_", 1), ("describe", "\\d clinic.pat", 1),
    ("function", "\\df stock.re", 1), ("setting", "set work_m", 1), ("keyword", "sel", 1), ("role", "set role gate", 1), ("drop-table", "drop table workbench.tar", 1),
]:
    check(f"completion/{name}")(lambda: terminal.complete(typed, tabs))
