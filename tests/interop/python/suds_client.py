"""suds. Usage: python suds_client.py SCRIPT.json."""

import json
import sys
from datetime import datetime
from pathlib import Path

import suds.sudsobject
from suds.client import Client
from suds.sax.text import Text

script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
client = Client(script["wsdl"], headers=script["headers"], cache=None)


def named(value, key=""):
    if isinstance(value, list):
        return {script["items"][key]: [named(row) for row in value]}
    if isinstance(value, dict):
        return {name: named(inner, name) for name, inner in value.items()}
    if isinstance(value, str) and value.endswith("Z") and "T" in value:
        return datetime.fromisoformat(value)
    return value


def plain(value):
    if isinstance(value, suds.sudsobject.Object):
        return {name: plain(inner) for name, inner in suds.sudsobject.items(value)}
    if isinstance(value, list):
        return [plain(row) for row in value]
    return str(value) if isinstance(value, Text) else value


answers = {
    operation: plain(getattr(client.service, operation)(accountID=script["account"], **named(parameters)))
    for operation, parameters in script["calls"]
}
json.dump(answers, sys.stdout, default=str, ensure_ascii=False)
