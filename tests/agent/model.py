"""A stand-in for a language model: an OpenAI-compatible endpoint on loopback whose next step follows from the conversation.

It plays no tape. Tables, columns and keys come from the tools' answers; whether values are masked is read off the rows; after
a refusal the code, the rule, the column and the hint are read out of the error text, and the next statement is derived from
the refused one and the hint. Without a hint that it can follow it gives up and says so.

model.py TRANSCRIPT: prints its port, appends every request and answer to TRANSCRIPT as a JSON line.
"""
import http.server
import json
import re
import sys

TRANSCRIPT = open(sys.argv[1], "a", buffering=1, encoding="utf-8")


class Conversation:
    """What has been said so far, and what can be concluded from it."""

    def __init__(self, messages):
        self.task = next(text(m) for m in messages if m["role"] == "user")
        asked = {c["id"]: c["function"] for m in messages for c in m.get("tool_calls") or []}
        self.done = []
        for message in messages:
            if message["role"] == "tool":
                function = asked[message["tool_call_id"]]
                self.done.append((function["name"], json.loads(function["arguments"]), text(message)))

    def last(self, tool):
        """The newest answer of a tool."""
        return next((answer for name, _, answer in reversed(self.done) if name == tool), None)

    def queries(self):
        """Statements that were run, with what came back."""
        return [(arguments["query"], answer) for name, arguments, answer in self.done if name == "sql_db_query"]

    def tables(self):
        """Tables the task is about: their names, or their stems, are in its words."""
        known = [name.strip() for name in self.last("sql_db_list_tables").split(",")]
        return [name for name in known if name.rstrip("s") in self.task.lower()]

    def columns(self, table):
        """Columns of a table in the order of its definition, and its key."""
        body = re.search(r"CREATE TABLE (?:\w+\.)?%s \((.*?)\n\)" % table, self.last("sql_db_schema"), re.S).group(1)
        names = [m for m in re.findall(r"^\s+(\w+) ", body, re.M) if m not in ("CONSTRAINT", "PRIMARY", "FOREIGN", "UNIQUE")]
        return names, re.search(r"PRIMARY KEY \((\w+)\)", body).group(1)


def text(message):
    """Text of a message, whichever way it is written."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def refusal(answer):
    """Code, rule, column and hint of a refusal; None if the answer is something else."""
    if not answer.startswith("Error:"):
        return None
    find = lambda pattern: (re.search(pattern, answer) or [None, ""])[1].strip()
    return {
        "code": find(r"\b(TG\d{4})\b"),
        "rule": find(r"rule \"([^\"]+)\""),
        "column": find(r"column (?:\w+\.)*(\w+)"),
        "hint": find(r"HINT:\s*(.+)"),
    }


def rewritten(statement, refused):
    """The refused statement changed as the hint says; None if the hint says nothing that can be done."""
    column, hint = refused["column"], refused["hint"].lower()
    if not column or not hint:
        return None
    wanted = statement
    if "other columns" in hint or "leave" in hint:
        wanted = re.sub(r"\s+AND \w*\.?%s\s+\S+\s+'[^']*'" % column, "", wanted)
        wanted = re.sub(r"ORDER BY \w*\.?%s\b" % column, "ORDER BY 1", wanted)
    if "by itself" in hint:
        wanted = re.sub(r"\b\w+\((\w*\.?%s)\b[^()]*\)(?: AS \w+)?" % column, r"\1", wanted)
    return wanted if wanted != statement else None


def step(conversation):
    """The next tool call as (name, arguments), or the final answer as text."""
    if conversation.last("sql_db_list_tables") is None:
        return "sql_db_list_tables", {"tool_input": ""}
    if conversation.last("sql_db_schema") is None:
        return "sql_db_schema", {"table_names": ", ".join(conversation.tables())}
    table = conversation.tables()[0]
    columns, key = conversation.columns(table)
    secret = next(name for name in columns if name in conversation.task.lower() or "ssn" in name)
    state = re.search(r"\b([A-Z]{2})\b", conversation.task).group(1)
    plain = f"SELECT {key}, {secret} FROM {table} WHERE state = '{state}' ORDER BY {key} LIMIT 5"
    ways = [
        f"SELECT {key}, substr({secret}, 1, 11) AS code FROM {table} WHERE state = '{state}' ORDER BY {key} LIMIT 5",
        f"SELECT {key}, {secret} FROM {table} WHERE state = '{state}' AND {secret} LIKE '1%' ORDER BY {key} LIMIT 5",
    ]
    queries = conversation.queries()
    if not queries:
        return "sql_db_query", {"query": plain}
    statement, answer = queries[-1]
    refused = refusal(answer)
    if refused:
        better = rewritten(statement, refused)
        if better is None:
            return f"I was refused ({refused['code']}) and cannot tell what would be allowed: {answer}"
        return "sql_db_query", {"query": better}
    masked = "*" in answer
    tried = [way for way in ways if any(way == query for query, _ in queries)]
    if masked and "another way" in conversation.task and len(tried) < len(ways):
        return "sql_db_query", {"query": ways[len(tried)]}
    reasons = [refusal(answer) for _, answer in queries if refusal(answer)]
    why = "; ".join(f"{r['code']} by rule {r['rule']}: {r['hint']}" for r in reasons)
    found = "are masked" if masked else "are in the clear"
    return f"The values of {secret} {found}: {answer} Refused on the way: {why or 'nothing'}."


def completion(request):
    """One answer of the model."""
    messages = request["messages"]
    message = {"role": "assistant", "content": None}
    if not request.get("tools"):
        # The toolkit's query checker: asks for the statement with its mistakes corrected.
        query = re.search(r"SELECT .*", text(messages[-1]), re.S)
        message["content"] = query.group(0) if query else text(messages[-1])
        return message, "stop"
    next_step = step(Conversation(messages))
    if isinstance(next_step, str):
        message["content"] = next_step
        return message, "stop"
    name, arguments = next_step
    if name not in [tool["function"]["name"] for tool in request["tools"]]:
        message["content"] = f"There is no tool {name}."
        return message, "stop"
    call = {"name": name, "arguments": json.dumps(arguments)}
    message["tool_calls"] = [{"id": f"call_{len(messages)}", "type": "function", "function": call}]
    return message, "tool_calls"


class Endpoint(http.server.BaseHTTPRequestHandler):
    """POST /v1/chat/completions."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        """The transcript is the log."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message, reason = completion(request)
        TRANSCRIPT.write(json.dumps({"request": request, "answer": message}) + "\n")
        choice = {"index": 0, "message": message, "finish_reason": reason}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        body = json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": "stand-in",
                           "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
print(server.server_address[1], flush=True)
server.serve_forever()
