"""What a browser gets from the service's address: WSDL, schemas, help page, and IIS's 404 for anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from .replies import TEXT_HTML, Reply, html_reply

if TYPE_CHECKING:
    from .documents import Documents

_HELP = (
    '<HTML><HEAD><TITLE>{service} Service</TITLE></HEAD><BODY><DIV id="content">'
    '<P class="heading1">{service} Service</P>'
    '<P class="intro">You have created a service.<P class="intro">{words}</DIV></BODY></HTML>'
)


def metadata_reply(documents: Documents, *, service: str, address: str, query: str, published: bool) -> Reply:
    """Answer a GET on the service's address (the pages and their numbering are known of WCF)."""
    asked = query.lower()
    if not published or not asked:
        return _help(service, address, published=published)
    if asked == "wsdl":
        return Reply(200, documents.multi_document(address))
    if asked == "singlewsdl":
        return Reply(200, documents.single_document(address))
    if asked.startswith("xsd=xsd") and asked[7:].isdecimal():
        try:
            return Reply(200, documents.schema(int(asked[7:]), address))
        except IndexError:
            return html_reply(404)
    return _help(service, address, published=published)


def _help(service: str, address: str, *, published: bool) -> Reply:
    if published:
        link = escape(f"{address}?wsdl")
        words = (
            "To test this service, you will need to create a client and use it to call the service. You can do this "
            "using the svcutil.exe tool from the command line with the following syntax: "
            f'<PRE>svcutil.exe <A href="{link}">{link}</A></PRE>'
        )
    else:
        words = "Metadata publishing for this service is currently disabled."
    return Reply(200, _HELP.format(service=escape(service), words=words).encode(), TEXT_HTML)
