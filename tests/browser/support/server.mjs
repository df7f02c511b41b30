// The real server: its config, its process, and what it answers over DNS.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Resolver } from "node:dns/promises";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const BINARY = process.env.WINDROSE_BINARY ?? join(ROOT, "target/debug/windrose");
const DEADLINE_MS = 30_000;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until `see()` gives something true, or says what was seen last. */
export async function until(what, see) {
  const end = Date.now() + DEADLINE_MS;
  let last;
  for (;;) {
    try {
      last = await see();
      if (last) return last;
    } catch (error) { last = error; }
    if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS} ms: ${what}; last: ${last}`);
    await pause(50);
  }
}

/** A port that is free for TCP and UDP now. */
async function freePort() {
  for (;;) {
    const tcp = createServer().listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address();
    const udp = createSocket("udp4");
    const free = await new Promise((done) => udp.once("error", () => done(false)).bind(port, "127.0.0.1", () => done(true)));
    await new Promise((done) => udp.close(done)).catch(() => {});
    await new Promise((done) => tcp.close(done));
    if (free) return port;
  }
}

export class Server {
  /** `config` gives the rest of the config; addresses and the state's place are set here. */
  constructor(config, { token } = {}) {
    this.config = config;
    this.token = token;
  }

  async start() {
    this.directory ??= mkdtempSync(join(tmpdir(), "windrose-browser-"));
    this.dnsPort ??= await freePort();
    this.adminPort ??= await freePort();
    this.url = `http://127.0.0.1:${this.adminPort}`;
    this.write(this.config);
    this.log = "";
    this.process = spawn(BINARY, ["serve", "--config", join(this.directory, "windrose.toml")], { stdio: ["ignore", "ignore", "pipe"] });
    this.process.stderr.on("data", (data) => { this.log += data; });
    const ended = once(this.process, "exit");
    this.ended = ended;
    let over = false;
    ended.then(() => { over = true; });
    const ready = async () => over || (await fetch(`${this.url}/readyz`)).ok;
    await until("the server is ready", ready);
    if (over) throw new Error(`the server ended: ${this.log}`);
    return this;
  }

  /** Writes the config; a server that runs takes it by itself. */
  write(config) {
    const token = this.token ? `token_file = "${join(this.directory, "token")}"` : "";
    if (this.token) writeFileSync(join(this.directory, "token"), this.token);
    writeFileSync(join(this.directory, "windrose.toml"), `
[server]
listen    = ["127.0.0.1:${this.dnsPort}"]
identity  = "gtm1.example.net"
state_dir = "${join(this.directory, "state")}"
workers   = 1

[admin]
listen = "127.0.0.1:${this.adminPort}"
${token}
${config}`);
  }

  /** The addresses of a name, as a client of DNS gets them. */
  async resolve(name) {
    const resolver = new Resolver({ timeout: 2_000, tries: 3 });
    resolver.setServers([`127.0.0.1:${this.dnsPort}`]);
    return (await resolver.resolve4(name)).sort();
  }

  async get(path) {
    const response = await fetch(this.url + path, { headers: this.token ? { Authorization: `Bearer ${this.token}` } : {} });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
  }

  remove() { rmSync(this.directory, { recursive: true, force: true }); }
}
