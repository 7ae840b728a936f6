// CHECK: is what ADD answered still there? More than that may be: plug-ins behind this one add to it.
import { formatIp, parseIp } from "../base/ip.ts";
import type { InterfaceFacts } from "./container-network.ts";
import { type Fields, listAt, objectAt, textAt } from "./fields.ts";
import type { Lease } from "./leases.ts";

/** The first difference; "": there is none. */
export function sameAsResult(result: Fields, lease: Lease, facts: InterfaceFacts): string {
  const interfaces = listAt(result.interfaces, "prevResult.interfaces").map((each) =>
    objectAt(each, "prevResult"),
  );
  const index = interfaces.findIndex(({ name, sandbox }) => name === lease.ifname && !isHost(sandbox));
  if (index < 0) return "prevResult does not know it";
  const { mac, mtu } = interfaces[index];
  if (!facts.isTap) return "it is another device than the agent's";
  if (!facts.isUp) return "it is down";
  if (facts.mac !== lease.mac || (typeof mac === "string" && mac !== "" && mac.toLowerCase() !== facts.mac)) {
    return `its MAC is ${facts.mac}, not ${lease.mac}`;
  }
  if (typeof mtu === "number" && mtu > 0 && mtu !== facts.mtu) return `its MTU is ${facts.mtu}, not ${mtu}`;
  const ips = listAt(result.ips, "prevResult.ips").map((each) => objectAt(each, "prevResult.ips"));
  const own = ips.filter((each) => (each.interface ?? index) === index);
  const texts = own.map(({ address }) => normal(textAt(address, "prevResult.ips.address") ?? ""));
  const missing = texts.find((text) => !facts.addresses.map(normal).includes(text));
  if (missing !== undefined) return `it has no address ${missing}`;
  const foreign = lease.ips.find((ip) => !texts.some((text) => text.startsWith(`${ip}/`)));
  if (foreign !== undefined) return `prevResult does not know its address ${foreign}`;
  const gateways = own.map(({ gateway }) => textAt(gateway, "prevResult.ips.gateway"));
  return missingRoute(result, gateways, facts);
}

/** Of the routes by the interface's own gateways. */
function missingRoute(
  result: Fields,
  gateways: readonly (string | undefined)[],
  { routes }: InterfaceFacts,
): string {
  for (const each of listAt(result.routes, "prevResult.routes")) {
    const { dst, gw } = objectAt(each, "prevResult.routes");
    const to = textAt(dst, "prevResult.routes.dst") ?? "";
    const via = textAt(gw, "prevResult.routes.gw");
    if (via === undefined || !gateways.includes(via)) continue; // of a plug-in behind this one
    const name = /^(0\.0\.0\.0|::)\/0$/.test(to) ? "default" : to;
    const isV6 = via.includes(":");
    const isThere = routes.some(
      (route) => route.dst === name && route.gw !== undefined && isSame(route.gw, via, isV6),
    );
    if (!isThere) return `there is no route to ${to} via ${via}`;
  }
  return "";
}

function isSame(one: string, other: string, isV6: boolean): boolean {
  return one.includes(":") === isV6 && normal(`${one}/0`) === normal(`${other}/0`);
}

function isHost(sandbox: unknown): boolean {
  return sandbox === undefined || sandbox === null || sandbox === "";
}

function normal(text: string): string {
  const [address, length = ""] = text.split("/");
  const parsed = parseIp(address);
  return parsed === null ? text : `${formatIp(parsed)}/${length}`;
}
