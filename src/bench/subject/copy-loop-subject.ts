// Two TAP devices and a C program that copies between them: what the interface can do at most. It knows no
// services, so its one address stands for both targets: the work that podwire does beyond copying is what
// the ratio shows.
import { onExit, run, start } from "../shell.ts";
import { ip, type Route, type Subject } from "./subject.ts";

const A = "/run/netns/pwb-la";
const B = "/run/netns/pwb-lb";

export async function makeCopyLoopSubject(program: string): Promise<Subject> {
  const remove = async () => {
    for (const name of ["pwb-la", "pwb-lb"]) await run(["ip", "netns", "del", name], { mayFail: true });
  };
  await remove();
  onExit(remove);
  for (const name of ["pwb-la", "pwb-lb"]) await run(["ip", "netns", "add", name]);
  await start([program, A, "eth0", B, "eth0"], "ready");
  const configure = (netns: string, host: number) =>
    ip(netns, [
      "link set lo up",
      "link set eth0 mtu 1450 gso_max_size 61900 up",
      `addr add 10.244.9.${host}/24 dev eth0`,
    ]);
  await configure(A, 2);
  await configure(B, 3);
  const route: Omit<Route, "target"> = {
    path: "same-node",
    clientNetns: A,
    clientDevice: "eth0",
    clientAddress: "10.244.9.2",
    serverNetns: B,
    serverDevice: "eth0",
    address: "10.244.9.3",
  };
  return {
    name: "c-loop",
    routes: [
      { ...route, target: "pod" },
      { ...route, target: "service" },
    ],
  };
}
