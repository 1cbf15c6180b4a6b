"""Runs Microsoft Presidio's pattern recognisers over texts, without any language model.

Standard input: one JSON string per line. Standard output: one JSON object,
{"version": ..., "seconds": ..., "hits": [[[start, end, entity], ...], ...]} with offsets in code points.
"""

import json
import logging
import sys
import time
from importlib.metadata import version

logging.disable(logging.CRITICAL)

from presidio_analyzer import PatternRecognizer, RecognizerRegistry
from presidio_analyzer.predefined_recognizers import PhoneRecognizer


def main():
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    recognizers = [r for r in registry.recognizers if isinstance(r, (PatternRecognizer, PhoneRecognizer))]
    texts = [json.loads(line) for line in sys.stdin]
    began = time.perf_counter()
    hits = []
    for text in texts:
        found = set()
        for recognizer in recognizers:
            for hit in recognizer.analyze(text, recognizer.supported_entities, None) or []:
                if hit.score > 0:
                    found.add((hit.start, hit.end, hit.entity_type))
        hits.append(sorted(found))
    seconds = time.perf_counter() - began
    json.dump({"version": version("presidio-analyzer"), "seconds": seconds, "hits": hits}, sys.stdout)


main()
