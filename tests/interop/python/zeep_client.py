"""zeep, strict. Usage: python zeep_client.py SCRIPT.json."""

import json
import sys
from datetime import datetime
from pathlib import Path

import requests
import zeep
from zeep.helpers import serialize_object
from zeep.transports import Transport

script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
session = requests.Session()
session.headers.update(script["headers"])
client = zeep.Client(script["wsdl"], transport=Transport(session=session), settings=zeep.Settings(strict=True))


def named(value, key=""):
    if isinstance(value, list):
        return {script["items"][key]: [named(row) for row in value]}
    if isinstance(value, dict):
        return {name: named(inner, name) for name, inner in value.items()}
    if isinstance(value, str) and value.endswith("Z") and "T" in value:
        return datetime.fromisoformat(value)
    return value


answers = {
    operation: serialize_object(client.service[operation](accountID=script["account"], **named(parameters)), dict)
    for operation, parameters in script["calls"]
}
json.dump(answers, sys.stdout, default=str, ensure_ascii=False)
