// What a careless or hostile administrator does to a machine whose NIC is shared: he flushes rules, routes, addresses and
// tables, takes the NIC down, changes or replaces it. What is the agent's comes back within a second, and it says so; what
// it cannot go on with ends it with one line. And what came over the wire in ways that ports do not tell.
import { join } from "node:path";
import t, { type Test } from "tap";
import { cannotRun, PODWIRE } from "../../src/testing/lab/lab.ts";
import { run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import * as machine from "../support/shared-machine.ts";
import { nodeIp, podIp, WORLD } from "../support/shared-machine.ts";

const namespaces = new Namespaces("pwt-hostile");
/** On a machine that has nothing else to do it takes a tenth of it. */
const SOON_MS = 3000;
const ip = (...lines: string[]): void => {
  for (const line of lines) namespaces.ip("n1", line);
};
const sh = async (name: string, script: string): Promise<string> => {
  const { status, stdout, stderr } = await run([
    "ip",
    "netns",
    "exec",
    namespaces.nameOf(name),
    "sh",
    "-ec",
    script,
  ]);
  if (status !== 0) throw new Error(`${script}: ${stderr}`);
  return stdout;
};
/** The agent's own on the machine: rules, their table, host0. */
const own = (): Promise<string> =>
  sh(
    "n1",
    "ip rule; ip -6 rule; for f in 4 6; do ip -$f route show table 30000; ip -$f route show dev host0; done; ip -o addr show dev host0",
  );
const sorted = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => !line.startsWith("fe80::/64")) // the kernel's own
    .map((line) => line.replace(/^\d+: /, "").replace(/ (valid_lft|proto) .*/, ""))
    .sort();

t.test("a machine that others change", { skip: cannotRun("socat", "curl", "nft") }, async (t) => {
  const { folder, running, agent } = await machine.setUp(t, namespaces);
  const beginning = "10.9.0.0/16 lookup 200";
  ip(`rule add pref 50 from ${beginning}`, "rule add pref 60 from 10.9.0.9 lookup 30000");
  const before = await machine.snapshot(namespaces, "n1");
  await agent(2);
  let first = await agent(1);
  const answer = (from: string, target: string) => machine.get(namespaces, from, `http://${target}/`);
  const reaches = (t: Test): Promise<void> =>
    machine.reaches(t, namespaces, [
      ["a", `${podIp(2)}:8080`, `pod b saw ${podIp(1)}`],
      ["out", `${nodeIp(1)}:30082`, "pod b saw 10.244.1.0"],
      ["n1", "10.96.0.82:82", "pod b saw 10.244.1.0"],
      ["n1", `${nodeIp(1)}:30082`, "pod b saw 10.244.1.0"],
      ["n1", `[${podIp(1, 6)}]:8080`, "pod a saw fd00:10:244:1::1"],
      ["a", `${WORLD[4]}:8080`, `pod out saw ${nodeIp(1)}`],
      ["out", `${nodeIp(1)}:2280`, "pod n1 saw 192.168.77.1"],
    ]);
  await t.test("before", reaches);
  const whole = sorted(await own());

  await t.test("a rule of somebody else's at 50 comes behind the local table, as before", async (t) => {
    const rules = (await sh("n1", "ip rule")).split("\n");
    t.ok(rules.findIndex((line) => /^49:\tfrom all lookup local/.test(line)) > 0, rules.join("\n"));
    t.ok(
      rules.findIndex((line) => line.includes(`50:\tfrom ${beginning}`)) >
        rules.findIndex((l) => l.startsWith("49:")),
    );
  });

  const TAKEN: Readonly<Record<string, readonly [string, RegExp | undefined]>> = {
    "host0's addresses": ["ip addr flush dev host0 scope global", /of host0: .*10\.244\.1\.1\/32/],
    "an address of host0": ["ip addr del 10.244.1.0/32 dev host0", /of host0: 10\.244\.1\.0\/32/],
    "host0's routes": ["ip route flush dev host0; ip -6 route flush dev host0", /of host0: route/],
    "host0, taken down": ["ip link set host0 down", /of host0: that it is up/],
    "a rule": ["ip rule del pref 48 to 169.254.1.1", /\d rules of IPv4/],
    "all rules": [
      `ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default;
       ip rule add pref 50 from ${beginning}; ip rule add pref 60 from 10.9.0.9 lookup 30000`,
      /\d rules of IPv4/,
    ],
    "all rules of IPv6": ["ip -6 rule flush; ip -6 rule add pref 32766 lookup main", /\d rules of IPv6/],
    "the rules' table": [
      "ip route flush table 30000; ip -6 route flush table 30000",
      /routes of their table 30000/,
    ],
    "all of nftables": ["nft flush ruleset", undefined],
  };
  for (const [what, [script, said]] of Object.entries(TAKEN)) {
    await t.test(`${what}: put back within a second`, async (t) => {
      const told = first.output().length;
      await sh("n1", script);
      const since = performance.now();
      let now: string[] = [];
      const isBack = async () => (now = sorted(await own())).join() === whole.join();
      while (!(await isBack()) && performance.now() - since < 5000) await sleep(20);
      const ms = performance.now() - since;
      t.strictSame(now, whole);
      t.ok(ms < SOON_MS, `${ms.toFixed(0)} ms`);
      t.comment(`${what}: ${ms.toFixed(0)} ms`);
      if (said !== undefined) await until("the line", async () => said.test(first.output().slice(told)));
      t.match(await sh("n1", "nft list ruleset"), /table netdev podwire \{ # progname node\n\tflags owner/);
      await reaches(t);
    });
  }

  await t.test("the node's address goes and comes, and the NIC goes down and up", async (t) => {
    ip(`addr del ${nodeIp(1)}/24 dev eth0`);
    await until("the line", async () => /no device of this machine has it/.test(first.output()));
    ip(`addr add ${nodeIp(1)}/24 dev eth0`, "route replace default via 192.168.77.1");
    await reaches(t);
    ip("link set eth0 down");
    await sleep(300);
    ip("link set eth0 up", `addr replace ${nodeIp(1, 6)}/64 dev eth0 nodad`);
    ip("route replace default via 192.168.77.1", "route replace default via fd00:77::1");
    await reaches(t);
    await until("all of it", async () => sorted(await own()).join() === whole.join()).catch(() => {});
    t.strictSame(sorted(await own()), whole);
    t.equal(first.child.exitCode, null, "the agent went on");
  });

  await t.test("the NIC's MTU changes, and host0's with it", async (t) => {
    ip("link set eth0 mtu 1400");
    const mtuOf = async (device: string) => (await sh("n1", `cat /sys/class/net/${device}/mtu`)).trim();
    await until("host0", async () => (await mtuOf("host0")) === "1400");
    t.match(await sh("n1", "ip route show 10.96.0.0/12"), /mtu 1350/);
    await reaches(t);
    ip("link set eth0 mtu 1500");
    await until("host0", async () => (await mtuOf("host0")) === "1500");
    await until("all of it", async () => sorted(await own()).join() === whole.join()).catch(() => {});
    t.strictSame(sorted(await own()), whole);
  });

  await t.test(
    "datagrams in fragments: to a node port, to the node's own program, answers from the world",
    async (t) => {
      const big = "x".repeat(4000);
      const echo = (name: string, what: string) =>
        start(
          [
            "ip",
            "netns",
            "exec",
            namespaces.nameOf(name),
            "sh",
            "-c",
            `echo on; exec socat -b 65000 ${what},fork EXEC:cat`,
          ],
          /on/,
        );
      running.push(await echo("a", "UDP6-RECVFROM:5300,ipv6only=0"));
      running.push(await echo("n1", "UDP6-RECVFROM:5301,ipv6only=0"));
      running.push(await echo("out", "UDP6-RECVFROM:5302,ipv6only=0"));
      const asks = async (from: string, target: string): Promise<number> => {
        const script = `printf ${big} | timeout 5 socat -b 65000 -T 2 - UDP${target.includes("[") ? 6 : 4}:${target}`;
        return (await run(["ip", "netns", "exec", namespaces.nameOf(from), "sh", "-c", script])).stdout
          .length;
      };
      for (const [what, from, target] of [
        ["to a node port", "out", `${nodeIp(1)}:30053`],
        ["to a node port, IPv6", "out", `[${nodeIp(1, 6)}]:30053`],
        ["to the node's program", "out", `${nodeIp(1)}:5301`],
        ["to the node's program, IPv6", "out", `[${nodeIp(1, 6)}]:5301`],
        ["from a pod to the world", "a", "192.168.77.1:5302"],
        ["from a pod to the world, IPv6", "a", "[fd00:77::1]:5302"],
        ["from the node to the world", "n1", "192.168.77.1:5302"],
        ["from the node to a service", "n1", "10.96.0.84:53"],
      ] as const) {
        let got = 0; // a datagram may be lost while a neighbour is asked for
        await until(what, async () => (got = await asks(from, target)) === big.length).catch(() => {});
        t.equal(got, big.length, what);
      }
    },
  );

  await t.test("protocols without ports: the machine's own, and pods'", async (t) => {
    for (const protocol of [47, 50, 97]) {
      for (const [from, target, to] of [
        ["out", nodeIp(1), "n1"],
        ["n1", WORLD[4], "out"],
        ["a", podIp(2), "b"],
        ["a", nodeIp(1), "n1"],
        ["a", WORLD[4], "out"],
        ["b", nodeIp(1), "n1"],
      ] as const) {
        const hear = `echo on; exec socat -u IP4-RECVFROM:${protocol},fork STDOUT`;
        const listener = await start(["ip", "netns", "exec", namespaces.nameOf(to), "sh", "-c", hear], /on/);
        await sleep(100);
        const wanted = `${protocol} from ${from} to ${to}`;
        // Once more while nobody has heard it: who listens says so before he does.
        const isHeard = async () => {
          await sh(from, `printf '${wanted}' | socat -u - IP4-SENDTO:${target}:${protocol}`);
          return listener.output().includes(wanted);
        };
        await until(wanted, isHeard, 3000).catch(() => {});
        t.match(listener.output(), wanted);
        await listener.stop();
      }
    }
  });

  await t.test("protocols without ports: a pod in the world's answers", async (t) => {
    for (const [family, protocol] of [
      [4, 47],
      [4, 50],
      [6, 97],
    ] as const) {
      const own = family === 4 ? WORLD[4] : `[${WORLD[6]}]`;
      const echo = `echo on; exec socat IP${family}-RECVFROM:${protocol},bind=${own},fork EXEC:cat`;
      const server = await start(["ip", "netns", "exec", namespaces.nameOf("out"), "sh", "-c", echo], /on/);
      await sleep(100);
      const target = `IP${family}-SENDTO:${own}:${protocol}`;
      const ask = () => sh("a", `(printf hello; sleep 0.3) | socat -t 0.1 - ${target}`);
      await until("an answer", async () => (await ask()).includes("hello"), SOON_MS).catch(() => {});
      t.equal(await ask(), "hello", `IPv${family}, protocol ${protocol}`);
      t.match(await sh("n1", "nft list ruleset"), `ipv${family}_answers_${protocol}`);
      await server.stop();
    }
    const hear = (name: string, words: string) =>
      start(
        ["ip", "netns", "exec", namespaces.nameOf(name), "sh", "-c", `echo on; exec socat ${words}`],
        /on/,
      );
    const own = await hear("n1", "-u IP4-RECVFROM:98,fork STDOUT");
    const server = await hear("out", `IP4-RECVFROM:98,bind=${WORLD[4]},fork EXEC:cat`);
    await sleep(100);
    const ask = () => sh("a", `(printf mine; sleep 0.3) | socat -t 0.1 - IP4-SENDTO:${WORLD[4]}:98`);
    for (let i = 0; i < 3; i++) t.equal(await ask(), "", "the machine speaks it itself");
    t.match(own.output(), "minemine");
    t.match(first.output(), "the machine itself speaks protocol 98: pods are not answered in it");
    for (const each of [own, server]) await each.stop();
  });

  await t.test(
    "host0 is removed, the NIC gets another MAC address, or goes: one line, and the next agent goes on",
    async (t) => {
      const mac = /link\/ether (\S+)/.exec(namespaces.ip("n1", "link show eth0"))?.[1];
      const replace = [
        "link del eth0",
        `link add eth0 type veth peer name port1 netns ${namespaces.nameOf("fab")}`,
      ];
      for (const [what, lines, said] of [
        ["host0", ["link del host0"], /host0 is gone: somebody removed it, and the agent has to start anew/],
        [
          "MAC",
          ["link set eth0 address 02:00:00:00:77:0b"],
          /uplink eth0 .*has another MAC address: the agent has to start anew/,
        ],
        ["NIC", replace, /uplink eth0 is (not there \(any more\)|another device by now)/],
      ] as const) {
        ip(...lines);
        await first.ended;
        t.equal(first.child.exitCode, 1, what);
        const last = first.output().trim().split("\n").at(-1) ?? "";
        t.match(last, said, what);
        t.equal(await sh("n1", "nft list ruleset"), "", "nothing is dropped any more");
        if (what === "NIC") {
          ip(
            `link set eth0 address ${mac} up`,
            `addr add ${nodeIp(1)}/24 dev eth0`,
            `addr add ${nodeIp(1, 6)}/64 dev eth0 nodad`,
          );
          ip("route add default via 192.168.77.1", "route add default via fd00:77::1");
          namespaces.ip("fab", "link set port1 master br0 up");
        }
        for (const name of ["out", "n2"]) namespaces.ip(name, "neigh flush dev eth0");
        // Neighbours have to find the new MAC address, which takes kernels some seconds.
        const isThere = async () => (await answer("out", `${nodeIp(1)}:2280`)).startsWith("pod n1");
        await until("the node itself", isThere, 40_000);
        first = await agent(1);
        await until("pods", async () => (await answer("a", `${podIp(2)}:8080`)).startsWith("pod b"), 40_000);
        await reaches(t);
      }
    },
  );

  await t.test("without nftables: one line, and nothing is changed", async (t) => {
    await first.stop();
    await machine.cleanUp(namespaces, folder, 1);
    const found = await machine.snapshot(namespaces, "n1");
    ip("link add eth7 type bridge", "link del eth7");
    // Another's table of that name is as good as a kernel that cannot.
    const owner = await agent(1);
    const second = join(folder, "second.yaml");
    await run(["sh", "-c", `sed s/n1.sock/second.sock/ ${folder}/n1.yaml > ${second}`]);
    const { status, stderr } = await run(namespaces.command("n1", `${PODWIRE} agent --config ${second}`));
    t.equal(status, 1);
    t.match(
      stderr.trim().split("\n").at(-1),
      /nftables: table netdev podwire: EPERM: a shared uplink needs nftables with owned tables/,
    );
    await reaches(t);
    await owner.stop();
    await machine.cleanUp(namespaces, folder, 1);
    t.strictSame(await machine.snapshot(namespaces, "n1"), found);
    first = await agent(1);
  });

  await t.test(
    "somebody's rule has our priority when an agent was killed: cleaning up leaves that alone",
    async (t) => {
      await reaches(t);
      await first.stop("SIGKILL");
      ip("rule add pref 48 from 10.9.0.4 lookup 200", "rule del pref 48 to 169.254.1.1");
      const said = await machine.cleanUp(namespaces, folder, 1);
      t.match(said, /removed 6 rules of IPv4 and their table 30000/);
      t.match(said, /removed 3 rules of IPv6 and their table 30000/);
      const after = await machine.snapshot(namespaces, "n1");
      const expected = before.rules.replace(
        "0:\tfrom all lookup local\n",
        "$&48:\tfrom 10.9.0.4 lookup 200\n",
      );
      const { nftables, sysctls } = before; // the NIC has another number, and with that its addresses and routes
      t.strictSame([after.rules, after.nftables, after.sysctls], [expected, nftables, sysctls]);
      t.match(await machine.cleanUp(namespaces, folder, 1), /^nothing was left/);
    },
  );
});
