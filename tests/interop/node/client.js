// The npm package "soap". Usage: node client.js SCRIPT.json
"use strict";
const fs = require("fs");
const soap = require("soap");

const script = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));

// node-soap writes members in the order given, and WCF ignores those out of order: they are sorted as .NET sorts them.
// Items of a list go under the name of their element.
function named(value, key) {
  if (Array.isArray(value)) return { [script.items[key]]: value.map((row) => named(row)) };
  if (value === null || typeof value !== "object") return value;
  const made = {};
  for (const name of Object.keys(value).sort()) made[name] = named(value[name], name);
  return made;
}

async function main() {
  const client = await soap.createClientAsync(script.wsdl);
  for (const [name, value] of Object.entries(script.headers)) client.addHttpHeader(name, value);
  const answers = {};
  for (const [operation, parameters] of script.calls) {
    const given = { accountID: script.account };
    for (const name of script.parameters[operation]) if (name in parameters) given[name] = named(parameters[name], name);
    const [result] = await client[`${operation}Async`](given);
    answers[operation] = result;
  }
  process.stdout.write(JSON.stringify(answers));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
