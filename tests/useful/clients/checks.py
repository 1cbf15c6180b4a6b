"""Named checks: each prints one JSON line with its id and what it saw, or the error it met.

`masked` names keys of dictionaries in the result whose values come masked, and the masked form.
"""
import json
import traceback


def check(name, **masked):
    """Runs the decorated function and prints what it returns."""

    def run(function):
        line = {"id": name, "masked": masked, "value": None, "error": None}
        try:
            line["value"] = function()
        except Exception as error:  # any failure of a client is a result
            line["error"] = f"{type(error).__name__}: {error}" or traceback.format_exc()
        print(json.dumps(line, default=str), flush=True)
        return function

    return run
