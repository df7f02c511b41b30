// Pretend back ends: an HTTP server for each site, on an address of its own on loopback.
import { createServer } from "node:http";

export class Sites {
  constructor() {
    /** What a back end answers to its probes, by address. */
    this.statuses = new Map();
    this.servers = [];
  }

  /** Starts one at each of `addresses`; they share a port, which is returned. */
  async start(addresses) {
    let port = 0;
    for (const address of addresses) {
      const server = createServer((request, response) => {
        response.writeHead(this.statuses.get(address) ?? 200, { Connection: "close" }).end();
      });
      await new Promise((done, failed) => server.once("error", failed).listen(port, address, done));
      port = server.address().port;
      this.servers.push(server);
    }
    return port;
  }

  fail(address) { this.statuses.set(address, 503); }
  mend(address) { this.statuses.delete(address); }

  stop() {
    for (const server of this.servers) { server.closeAllConnections(); server.close(); }
  }
}
