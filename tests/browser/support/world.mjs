// The config of the tests: sites around the world, WIPs of several kinds.

/** Name, address of the load balancer, and where; one without a place. */
export const SITES = [
  ["fra", "127.21.0.1", "{ latitude = 50.11, longitude = 8.68 }"],
  ["ams", "127.21.0.2", "{ latitude = 52.37, longitude = 4.90 }"],
  ["iad", "127.21.0.3", "{ latitude = 38.94, longitude = -77.45 }"],
  ["sin", "127.21.0.4", "{ latitude = 1.35, longitude = 103.82 }"],
  ["lab", "127.21.0.5", null],
];
export const address = (site) => SITES.find(([name]) => name === site)[1];

/** So many WIPs of which nothing more is asked than to be there. */
const CROWD = 120;

export function config(port) {
  const sites = SITES.map(([name, vip, place]) => `
[datacenter.${name}]
vip = ["${vip}"]
${place ? `location = ${place}` : ""}`).join("\n");
  const crowd = Array.from({ length: CROWD }, (_, index) => `[wip."app-${String(index + 1).padStart(3, "0")}.gslb.example"]`).join("\n");
  return `
[zone."gslb.example"]
nameservers = ["ns1.gslb.example"]
hostmaster  = "hostmaster@gslb.example"
records     = ["ns1 A 127.0.0.1"]
${sites}

[health_check.ready]
type = "http"
port = ${port}
path = "/healthz"
host = "back-end.gslb.example"
interval = "1s"
timeout = "500ms"
confirm_interval = "300ms"
fall = 2
rise = 2

[wip_defaults]
members = ["fra", "ams", "iad", "sin"]
policy = "round-robin"
health_check = "ready"
ttl = "5s"
ttl_min = "1s"

[wip."shop.gslb.example"]
aliases = ["store.gslb.example"]

[wip."ledger.gslb.example"]
policy = "failover"
members = ["fra", "iad"]

[wip."lonely.gslb.example"]
members = ["lab"]

[pool.west]
members = ["iad"]

[pool.east]
policy = "weighted"
members = ["fra", { datacenter = "sin", weight = 3 }, { name = "spare", address = "127.21.0.1", weight = 1 }]

[wip."video.gslb.example"]
policy = "failover"
pools = ["east", "west"]

${crowd}
`;
}
