"""Write the C++ of a contract: JSON into each generated class, and the calls.

Usage: python generate.py WSDL FOLDER. The WSDL is a ``?singleWsdl``. C++ has no reflection, so this replaces it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from lxml import etree

XS = "{http://www.w3.org/2001/XMLSchema}"
PREFIXES = {
    "http://schemas.datacontract.org/2004/07/OctopusService": "octo__",
    "http://schemas.microsoft.com/2003/10/Serialization/Arrays": "arr__",
    "http://tempuri.org/": "_tempuri__",
}
KEYWORDS = {"int"}
SERVICE = "BasicHttpBinding_USCOREIOctopusServiceService"


def functions(name: str, members: list[Any]) -> list[str]:
    """Return the two functions of a class; a list's JSON has no member name."""
    fill, write = [], []
    is_list = len(members) == 1 and members[0].get("maxOccurs") == "unbounded"
    for number, member in enumerate(members):
        wire = member.get("name")
        field = f"{wire}_" if wire in KEYWORDS else wire
        suffix = "_date" if member.get("type", "").endswith(":dateTime") else ""
        source = "from" if is_list else f'from["{wire}"]'
        fill.append(f"fill{suffix}(soap, to.{field}, {source});")
        if not is_list:
            between = "," if number else ""
            write.append(f'out << "{between}\\"{wire}\\":";')
        write.append(f"write{suffix}(out, value.{field});")
    braces = ("", "") if is_list else ("out << '{'; ", " out << '}';")
    return [
        f"inline void fill(struct soap *soap, {name} &to, const Json &from) {{ (void)soap; (void)from; (void)to; {' '.join(fill)} }}",
        f"inline void write(std::ostream &out, const {name} &value) {{ (void)value; {braces[0]}{' '.join(write)}{braces[1]} }}",
    ]


def main(wsdl: str, folder: str) -> None:
    """Write records.inc, calls.inc and methods.inc."""
    root = etree.parse(wsdl).getroot()
    heads, records, calls, methods = [], [], [], []
    for schema in root.iter(f"{XS}schema"):
        prefix = PREFIXES.get(schema.get("targetNamespace"))
        if prefix is None:
            continue
        for simple in schema.findall(f"{XS}simpleType"):
            name = prefix + simple.get("name")
            records += [
                f"inline void fill(struct soap *soap, {name} &to, const Json &from) {{ if (soap_s2{name}(soap, from.text.c_str(), &to)) throw std::runtime_error(from.text); }}",
                f"inline void write(std::ostream &out, {name} value) {{ write(out, std::string(soap_{name}2s(nullptr, value))); }}",
            ]
        wrappers = [e for e in schema.findall(f"{XS}element") if e.find(f"{XS}complexType") is not None]
        for found in [*schema.findall(f"{XS}complexType"), *wrappers]:
            made = functions(prefix + found.get("name"), list(found.iter(f"{XS}element"))[found in wrappers :])
            heads += [line.partition(" {")[0] + ";" for line in made]
            records += made
        for wrapper in wrappers:
            operation = wrapper.get("name")
            if operation.endswith("Response"):
                continue
            request, response = f"_tempuri__{operation}", f"_tempuri__{operation}Response"
            answer = next(e for e in wrappers if e.get("name") == f"{operation}Response")
            has_result = answer.find(f".//{XS}element") is not None
            calls.append(
                f'if (operation == "{operation}") {{ {request} request; fill(soap, request, parameters); {response} response; '
                f"done(proxy, proxy.{operation}(&request, response), operation); "
                + (f"write(out, response.{operation}Result); }}" if has_result else 'out << "null"; }')
            )
            methods.append(
                f'int {SERVICE}::{operation}({request} *request, {response} &response) {{ (void)response; received("{operation}", *request); '
                + (f'fill(soap, response.{operation}Result, script["answers"]["{operation}"]); ' if has_result else "")
                + "return SOAP_OK; }"
            )
    target = Path(folder)
    (target / "records.inc").write_text('#include "json.hpp"\n' + "\n".join(heads + records) + "\n", encoding="utf-8")
    (target / "calls.inc").write_text("\n".join(calls) + "\n", encoding="utf-8")
    (target / "methods.inc").write_text("\n".join(methods) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
