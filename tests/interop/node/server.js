// The npm package "soap" as a service. Usage: node server.js SCRIPT.json PORT
"use strict";
const fs = require("fs");
const http = require("http");
const soap = require("soap");

const script = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));

// The items of a list go under the name of their element, members in .NET's order. Nulls are left out: for them
// node-soap's server writes xsi:nil without declaring the prefix, which is not well-formed.
function named(value, items, key) {
  if (Array.isArray(value)) return { [items[key]]: value.map((row) => named(row, items)) };
  if (value === null || typeof value !== "object") return value;
  const made = {};
  for (const name of Object.keys(value).sort()) {
    if (value[name] !== null) made[name] = named(value[name], items, name);
  }
  return made;
}

const operations = {};
for (const operation of Object.keys(script.parameters)) {
  operations[operation] = (parameters) => {
    fs.appendFileSync(script.received, JSON.stringify({ operation, parameters }) + "\n");
    if (!(operation in script.answers)) return {};
    const items = { ...script.items, ResultData: script.rows[operation] };
    return { [`${operation}Result`]: named(script.answers[operation], items) };
  };
}

const server = http.createServer((request, response) => response.writeHead(404).end());
const services = { OctopusService: { BasicHttpBinding_IOctopusService: operations } };
server.listen(Number(process.argv[3]), "127.0.0.1", () => {
  soap.listen(server, "/OctopusService.svc", services, fs.readFileSync(script.wsdl, "utf8"));
});
