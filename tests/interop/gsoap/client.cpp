// gSOAP. Usage: client SCRIPT.json
#include <iostream>
#include "BasicHttpBinding_USCOREIOctopusService.nsmap"
#include "soapBasicHttpBinding_USCOREIOctopusServiceProxy.h"
#include "records.inc"

static void done(BasicHttpBinding_USCOREIOctopusServiceProxy &proxy, int status, const std::string &operation) {
    if (status == SOAP_OK) return;
    std::cerr << operation << ": ";
    proxy.soap_stream_fault(std::cerr);
    std::exit(1);
}

int main(int, char **arguments) {
    Json script = load(arguments[1]);
    std::string endpoint = script["endpoint"].text, headers;
    for (const auto &header : script["headers"].members) {
        headers += (headers.empty() ? "" : "\r\n") + header.first + ": " + header.second.text;
    }
    BasicHttpBinding_USCOREIOctopusServiceProxy proxy(endpoint.c_str(), SOAP_C_UTFSTRING | SOAP_IO_KEEPALIVE);
    struct soap *soap = proxy.soap;
    std::ostream &out = std::cout;
    const char *between = "{";
    for (const Json &call : script["calls"].rows) {
        const std::string &operation = call.rows[0].text;
        Json parameters = call.rows[1];
        parameters.members.emplace_back("accountID", script["account"]);
        soap->http_extra_header = headers.c_str();
        out << between << '"' << operation << "\":";
        between = ",";
#include "calls.inc"
    }
    out << "}";
    return 0;
}
