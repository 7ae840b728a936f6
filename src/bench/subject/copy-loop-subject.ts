// Two TAP devices and a C program that copies between them: what the interface can do at most. It knows no
// services, so its one address stands for both targets: the work that podwire does beyond copying is what
// the ratio shows. `c-loop` blocks when there is nothing to read, `c-spin` waits as podwire does.
import { onExit, run, start } from "../shell.ts";
import { ip, type Route, type Subject } from "./subject.ts";

export async function makeCopyLoopSubject(kind: "c-loop" | "c-spin", program: string): Promise<Subject> {
  const names = ["a", "b"].map((pod) => `pwb-${kind === "c-spin" ? "ls" : "l"}${pod}`);
  const [a, b] = names.map((name) => `/run/netns/${name}`);
  const remove = async () => {
    for (const name of names) await run(["ip", "netns", "del", name], { mayFail: true });
  };
  await remove();
  onExit(remove);
  for (const name of names) await run(["ip", "netns", "add", name]);
  await start([program, a, "eth0", b, "eth0", ...(kind === "c-spin" ? ["spin"] : [])], "ready");
  const configure = (netns: string, host: number) =>
    ip(netns, [
      "link set lo up",
      "link set eth0 mtu 1450 gso_max_size 61900 up",
      `addr add 10.244.9.${host}/24 dev eth0`,
    ]);
  await configure(a, 2);
  await configure(b, 3);
  const route: Omit<Route, "target"> = {
    path: "same-node",
    clientNetns: a,
    clientDevice: "eth0",
    clientAddress: "10.244.9.2",
    serverNetns: b,
    serverDevice: "eth0",
    address: "10.244.9.3",
  };
  return {
    name: kind,
    routes: [
      { ...route, target: "pod" },
      { ...route, target: "service" },
    ],
  };
}
