// node-soap as its documentation uses it. Speaks the protocol of benchmarks/worker.py.
"use strict";

const fs = require("fs");
const http = require("http");
const path = require("path");
const readline = require("readline");
const soap = require(path.join(__dirname, "..", ".peers", "node", "node_modules", "soap"));

const WSDL = path.join(__dirname, "..", "..", "wsdl", "OctopusService.wsdl");
const ACCOUNT = "11111111-2222-3333-4444-555555555555";
const WARM_UP = 3;

const skus = (count) => Array.from({ length: count }, (_, number) => `SKU-${String(number).padStart(6, "0")}`);

const strings = (list) => ({ accountID: ACCOUNT, skuList: { string: list } });

// A transport that answers every call with the same bytes, for decoding and encoding alone.
function canned(body, seen) {
  return {
    request(url, data, callback) {
      if (seen) seen(data);
      setImmediate(() => callback(null, { statusCode: 200, headers: {} }, body));
      return { headers: {} };
    },
  };
}

async function client(url, connections = 10) {
  const made = await soap.createClientAsync(WSDL, { endpoint: url });
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  made.addHttpHeader("Connection", "keep-alive");
  made.call = (name, args) =>
    made[`${name}Async`](args, { agent, forever: true }).then((found) => found[0][`${name}Result`].ResultData);
  return made;
}

function expect(rows, count) {
  if (rows.length !== count) throw new Error(`${rows.length} of ${count}`);
}

const tasks = {
  async decode(asked) {
    const body = fs.readFileSync(path.join(asked.files, asked.reply), "utf8");
    const made = await soap.createClientAsync(WSDL, { httpClient: canned(body) });
    return async () => {
      const [found] = await made.GetItemListAsync(strings(["SKU-000000"]));
      expect(found.GetItemListResult.ResultData.InventoryItem, asked.count);
    };
  },
  async encode(asked) {
    const rows = JSON.parse(fs.readFileSync(path.join(asked.files, asked.updates), "utf8"));
    let size = 0;
    const empty =
      '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' +
      '<UpdateItemQuantityAndPriceListResponse xmlns="http://tempuri.org/"/></s:Body></s:Envelope>';
    const made = await soap.createClientAsync(WSDL, {
      httpClient: canned(empty, (data) => (size = Buffer.byteLength(data))),
    });
    return async () => {
      const list = { itemQuantityAndPriceList: { ItemQuantityAndPrice: rows } };
      await made.UpdateItemQuantityAndPriceListAsync({ accountID: ACCOUNT, ...list });
      return size;
    };
  },
  async call(asked) {
    const made = await client(asked.url);
    const list = skus(asked.count);
    return async () => expect((await made.call("GetItemList", strings(list))).InventoryItem, list.length);
  },
  async exist(asked) {
    const made = await client(asked.url);
    const list = skus(asked.count);
    return async () => expect((await made.call("IsSkuExistList", strings(list))).IsSkuExistResponse, list.length);
  },
  async bulk(asked) {
    const made = await client(asked.url, asked.connections);
    const list = skus(asked.count);
    return async () => {
      let next = 0;
      let got = 0;
      const lane = async () => {
        while (next < list.length) {
          const part = list.slice(next, (next += 100));
          const rows = (await made.call("GetItemQuantityList", strings(part))).QuantityInfoResponse;
          got += rows.length;
        }
      };
      await Promise.all(Array.from({ length: asked.connections }, lane));
      if (got !== list.length) throw new Error(`${got} of ${list.length}`);
    };
  },
  async construct() {
    return async () => {
      await soap.createClientAsync(WSDL, { disableCache: true });
    };
  },
};

async function timed(work, runs) {
  const ms = [];
  const cpu = [];
  let bytes = null;
  for (let run = 0; run < runs; run += 1) {
    const used = process.cpuUsage();
    const started = process.hrtime.bigint();
    const size = await work();
    ms.push(Number(process.hrtime.bigint() - started) / 1e6);
    const spent = process.cpuUsage(used);
    cpu.push((spent.user + spent.system) / 1e3);
    bytes = typeof size === "number" ? size : null;
  }
  return { ms, cpu, bytes };
}

async function main() {
  const ready = new Map();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    const key = JSON.stringify({ ...asked, runs: 0 });
    let answer;
    try {
      if (!tasks[asked.task]) {
        answer = { absent: "it has no such call" };
      } else {
        if (!ready.has(key)) {
          ready.set(key, await tasks[asked.task](asked));
          for (let run = 0; run < (asked.warm_up ?? WARM_UP); run += 1) await ready.get(key)();
        }
        answer = await timed(ready.get(key), asked.runs);
      }
    } catch (error) {
      answer = { absent: `${error.name}: ${String(error.message).slice(0, 160)}` };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

main();
