"""A hand-written SOAP caller: these tests must not use our client or codec."""

import contextlib
import socket
from dataclasses import dataclass, field

import pytest
import requests
from lxml import etree

from octopus_soap.emulator import Emulator

TEMPURI = "http://tempuri.org/"
DATA = "http://schemas.datacontract.org/2004/07/OctopusService"
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def local(element):
    return etree.QName(element).localname


def read(element):
    """Turn an element into a dict, a list of (name, value), a text, or None for nil."""
    if element.get(f"{{{XSI}}}nil") == "true":
        return None
    if len(element):
        names = [local(child) for child in element]
        if local(element).endswith("List") or local(element) in {"ResultData", "orderItems"}:
            children = [read(child) for child in element]
            if len(set(names)) == 1 and (len(element[0]) or element[0].get(f"{{{XSI}}}nil")):
                return children
        return {name: read(child) for name, child in zip(names, element, strict=True)}
    return element.text or ""


@dataclass
class Answer:
    """An HTTP reply with its SOAP content taken apart."""

    response: requests.Response
    result: object = None
    fault: dict | None = None

    @property
    def status(self):
        return self.response.status_code

    @property
    def rows(self):
        return self.result["ResultData"]

    @property
    def text(self):
        return self.response.text


@dataclass
class Shop:
    """A running emulator and a caller with one merchant's credentials."""

    service: Emulator
    merchant: str | None = None
    tempuri: str = TEMPURI
    data: str = DATA
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def account(self):
        return self.service.settings(self.merchant)["accessid"]

    def headers(self, operation, **changed):
        settings = self.service.settings(self.merchant)
        headers = {name: settings[name] for name in ("authtoken", "merchantname", "accessid")}
        headers["Content-Type"] = "text/xml; charset=utf-8"
        headers["SOAPAction"] = f'"{self.tempuri}IOctopusService/{operation}"'
        headers.update({name.replace("_", "-"): value for name, value in changed.items()})
        return {name: value for name, value in headers.items() if value is not None}

    def body(self, operation, inner="", *, account=...):
        given = self.account if account is ... else account
        head = f"<accountID>{given}</accountID>" if given is not None else ""
        return (
            f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body><{operation} xmlns="{self.tempuri}" '
            f'xmlns:d="{self.data}" xmlns:r="{ARRAYS}" xmlns:i="{XSI}">{head}{inner}</{operation}></s:Body></s:Envelope>'
        ).encode()

    def post(self, operation, body, timeout=10, **changed):
        return self.session.post(
            self.service.url,
            data=body,
            headers=self.headers(operation, **changed),
            timeout=timeout,
            allow_redirects=False,
        )

    def call(self, operation, inner="", *, account=..., timeout=10, **changed):
        response = self.post(operation, self.body(operation, inner, account=account), timeout=timeout, **changed)
        answer = Answer(response)
        with contextlib.suppress(etree.XMLSyntaxError):
            body = etree.fromstring(response.content).find(f"{{{SOAP}}}Body")
            if body is None:
                return answer
            content = body[0]
            if local(content) == "Fault":
                answer.fault = {local(child): child.text for child in content}
            elif len(content):
                answer.result = read(content[0])
        return answer

    def skus(self, *skus, name="skuList"):
        return f"<{name}>" + "".join(f"<r:string>{sku}</r:string>" for sku in skus) + f"</{name}>"

    def raw(self, operation, body):
        """Open a socket, and send a request on it."""
        host, port = self.service.url.split("/")[2].split(":")
        sock = socket.create_connection((host, int(port)), timeout=10)
        headers = {
            **self.headers(operation),
            "Host": f"{host}:{port}",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        head = "POST /OctopusService.svc HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items()) + "\r\n"
        sock.sendall(head.encode() + body)
        return sock

    def close(self):
        self.session.close()
        self.service.close()


@pytest.fixture
def emulate():
    """Start emulators with the given settings, and stop them after the test."""
    shops = []

    def start(**settings):
        shop = Shop(Emulator(**settings).start())
        shops.append(shop)
        return shop

    yield start
    for shop in shops:
        errors = [call.error for call in shop.service.calls if call.error]
        shop.close()
        assert errors == []


@pytest.fixture
def shop(emulate):
    """A default emulator with two items."""
    shop = emulate()
    shop.service.store.add_item("A-1", Description="Lantern", Price="3.39", Cost="1.5", Stock="6")
    shop.service.store.add_item("A-2", Price="2", Stock="10", Applicablestock="8", FormQuantity="4")
    return shop
