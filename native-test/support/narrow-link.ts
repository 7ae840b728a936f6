// A machine behind a client of a lab, over a link of 1300 bytes: the client routes, and tells of its narrow link.
import type { Test } from "tap";
import { run } from "../../src/testing/lab/process.ts";
import { Namespaces } from "./namespaces.ts";

export interface NarrowLink {
  /** Namespace of the client, which becomes a router. */
  readonly router: string;
  /** Address of the machine behind it, of the nodes' network. */
  readonly address: string;
  /** What the machine itself takes its link for, bytes. */
  readonly mtu: number;
}

/** Namespace of the machine; removed when the test ends. */
export async function behindNarrowLink(t: Test, prefix: string, link: NarrowLink): Promise<string> {
  const { router, address, mtu } = link;
  const spaces = new Namespaces(prefix);
  t.teardown(() => spaces.remove());
  spaces.add("far");
  const far = spaces.nameOf("far");
  for (const words of [
    `link add near type veth peer name eth0 netns ${far}`,
    "link set near mtu 1300 up",
    "addr add 10.99.0.1/24 dev near",
    `route add ${address} dev near`,
  ])
    await must(["ip", "-n", router, ...words.split(" ")]);
  for (const words of [
    `link set eth0 mtu ${mtu} up`,
    `addr add ${address}/32 dev eth0`,
    "route add 10.99.0.1 dev eth0",
    "route add default via 10.99.0.1 dev eth0",
  ])
    spaces.ip("far", words);
  for (const key of ["ip_forward", "conf.eth0.proxy_arp", "conf.all.proxy_arp"])
    await must(["ip", "netns", "exec", router, "sysctl", "-qw", `net.ipv4.${key}=1`]);
  return far;
}

async function must(command: readonly string[]): Promise<void> {
  const { status, stderr } = await run(command);
  if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}
