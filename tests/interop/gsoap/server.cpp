// gSOAP as a service. Usage: server SCRIPT.json PORT
#include <iostream>
#include "BasicHttpBinding_USCOREIOctopusService.nsmap"
#include "soapBasicHttpBinding_USCOREIOctopusServiceService.h"
#include "records.inc"

static Json script;

template <class T> static void received(const char *operation, const T &request) {
    std::ofstream file(script["received"].text, std::ios::app);
    file << "{\"operation\":\"" << operation << "\",\"parameters\":";
    write(file, request);
    file << "}\n";
}

// The methods that soapcpp2 declares and leaves to be defined.
#include "methods.inc"

int main(int, char **arguments) {
    script = load(arguments[1]);
    BasicHttpBinding_USCOREIOctopusServiceService server(SOAP_C_UTFSTRING | SOAP_IO_KEEPALIVE);
    server.soap->bind_flags = SO_REUSEADDR;
    server.soap->recv_timeout = 2;  // one thread: a connection kept open must not keep the next one out
    if (!soap_valid_socket(server.bind("127.0.0.1", std::atoi(arguments[2]), 100))) return 1;
    while (soap_valid_socket(server.accept())) {
        server.serve();
        server.destroy();
    }
    return 0;
}
