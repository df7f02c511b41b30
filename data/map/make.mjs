// Makes land.path, the outline of the status page's map, from Natural Earth's land at
// 1:110,000,000 as npm's world-atlas has it:
//
//   npm install --no-save world-atlas@2.0.2
//   node data/map/make.mjs node_modules/world-atlas/land-110m.json > data/map/land.path
//
// The projection is Patterson's cylindrical one (T. Patterson, B. Šavrič and B. Jenny,
// "Introducing the Patterson Cylindrical Projection", 2015); src/admin/page/map.js has
// the same formula for the sites.
import { readFileSync } from "node:fs";

/** Units across the whole world. */
const WIDTH = 1000;
/** Degrees of latitude shown; what is outside is cut off by the viewer. */
const NORTH = 84, SOUTH = -58;
/** Points nearer to the line between their neighbours than this are left out, in units. */
const TOLERANCE = 0.35;
/** Islands smaller than this are left out, in square units. */
const AREA_MIN = 0.6;

const radians = (degrees) => (degrees * Math.PI) / 180;
const patterson = (latitude) => {
  const p = radians(latitude), p2 = p * p;
  return p * (1.0148 + p2 * p2 * (0.23185 + p2 * (-0.14499 + p2 * 0.02406)));
};
const scale = WIDTH / (2 * Math.PI);
const project = ([longitude, latitude]) =>
  [WIDTH / 2 + scale * radians(longitude), scale * (patterson(NORTH) - patterson(latitude))];

/** An arc of the topology as points; negative numbers are arcs read backwards. */
function arc(topology, number) {
  const { scale: [sx, sy], translate: [tx, ty] } = topology.transform;
  let x = 0, y = 0;
  const points = topology.arcs[number < 0 ? ~number : number].map(([dx, dy]) => {
    x += dx; y += dy;
    return [x * sx + tx, y * sy + ty];
  });
  return number < 0 ? points.reverse() : points;
}

const distance = ([px, py], [ax, ay], [bx, by]) => {
  const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
  const along = length ? Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / length)) : 0;
  return Math.hypot(px - ax - along * dx, py - ay - along * dy);
};

/** Douglas and Peucker's simplification. */
function simplify(points) {
  if (points.length < 3) return points;
  let far = 0, at = 0;
  for (let index = 1; index < points.length - 1; index++) {
    const off = distance(points[index], points[0], points[points.length - 1]);
    if (off > far) { far = off; at = index; }
  }
  if (far <= TOLERANCE) return [points[0], points[points.length - 1]];
  return [...simplify(points.slice(0, at + 1)).slice(0, -1), ...simplify(points.slice(at))];
}

const area = (points) => Math.abs(points.reduce((sum, [x, y], index) => {
  const [nx, ny] = points[(index + 1) % points.length];
  return sum + (x * ny - nx * y) / 2;
}, 0));

/** A number in tenths, as short as SVG takes it. */
const short = (tenths) => String(tenths / 10).replace(/^(-?)0\./, "$1.");
const join = (parts) => parts.reduce((text, part) =>
  text + (text && !part.startsWith("-") ? " " : "") + part, "");

/** A ring that goes on over the 180th meridian instead of jumping around the world. */
function unwrap(points) {
  let turns = 0;
  return points.map(([longitude, latitude], index) => {
    const step = index ? longitude - points[index - 1][0] : 0;
    if (Math.abs(step) > 180) turns -= Math.sign(step) * 360;
    return [longitude + turns, latitude];
  });
}

function ring(topology, numbers) {
  const points = unwrap(numbers.flatMap((number) => arc(topology, number).slice(0, -1)));
  // Antarctica is no place for a site, and half the height of the map.
  if (Math.min(...points.map(([, latitude]) => latitude)) < -78) return "";
  const longitudes = points.map(([longitude]) => longitude);
  // What reaches over an edge is there again at the other one.
  const shifts = [0, ...(Math.max(...longitudes) > 180 ? [-360] : []), ...(Math.min(...longitudes) < -180 ? [360] : [])];
  return shifts.map((shift) => outline(points.map(([longitude, latitude]) => project([longitude + shift, latitude])))).join("");
}

function outline(flat) {
  // A ring has no ends: it is halved, so that each half has some.
  const half = flat.length >> 1;
  const kept = [...simplify(flat.slice(0, half + 1)).slice(0, -1), ...simplify([...flat.slice(half), flat[0]]).slice(0, -1)];
  if (kept.length < 3 || area(kept) < AREA_MIN) return "";
  const tenths = kept.map(([x, y]) => [Math.round(x * 10), Math.round(y * 10)]);
  const steps = tenths.slice(1).map(([x, y], index) => [x - tenths[index][0], y - tenths[index][1]]);
  const lines = join(steps.filter(([dx, dy]) => dx || dy).flat().map(short));
  return `M${short(tenths[0][0])} ${short(tenths[0][1])}l${lines}z`;
}

const topology = JSON.parse(readFileSync(process.argv[2], "utf8"));
const paths = topology.objects.land.geometries
  .flatMap((geometry) => (geometry.type === "Polygon" ? [geometry.arcs] : geometry.arcs))
  .map((polygon) => polygon.map((numbers) => ring(topology, numbers)).join(""));
process.stdout.write(paths.join(""));
console.error(`height ${(scale * (patterson(NORTH) - patterson(SOUTH))).toFixed(1)} of ${WIDTH}`);
