// Superframes from a pod to every kind of exit: another pod, the node itself, the outside, tunnels to a node like ours,
// to one behind libpcap and to a kernel. TCP with odd segment sizes and ECN, UDP cut by whoever is last (UDP_SEGMENT),
// both over IPv4 and IPv6.
// What arrives is what was sent, and tshark finds nothing wrong with any of it.
import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { client } from "../../src/testing/lab/objects.ts";
import { type Running, until } from "../../src/testing/lab/process.ts";
import { NODES6, OUTSIDE6, podAddress6 } from "../support/ipv6-scenario.ts";
import { checkCapture, nothingWrong } from "../support/tshark.ts";

const skip = cannotRun("tcpdump", "tshark", "socat", "iptables");
const UDP_SEGMENT = "17:103"; // SOL_UDP, UDP_SEGMENT
const PORT = 9100;
const BLOCK = 30_000;
const BLOCKS = 3;
const FAMILIES = [4, 6] as const;
const PLACES = ["rx-near", "rx-pcap", "rx-kernel", "node/node1", "client/outside"];

interface Drop {
  readonly reason: string;
  readonly packets: number;
}

t.test("superframes to every exit", { skip }, async (t) => {
  const lab = await TestLab.up("super", {
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    nodes: [
      { name: "node1" },
      { name: "node2", uplink: { driver: "pcap" } },
      { name: "node3", agent: "kernel" },
    ],
    objects: [
      client("tx", "node1"),
      client("rx-near", "node1"),
      client("rx-pcap", "node2"),
      client("rx-kernel", "node3"),
    ],
  });
  t.teardown(() => lab.down());
  const address = async (place: string, family: 4 | 6): Promise<string> => {
    if (place === "node/node1") return family === 4 ? "192.168.50.11" : `[${NODES6[0]}]`;
    if (place === "client/outside") return family === 4 ? "192.168.50.100" : `[${OUTSIDE6}]`;
    return family === 4 ? lab.podAddress(place) : `[${await podAddress6(lab, place)}]`;
  };
  const file = (place: string): string => join(lab.folder, `${place.replace("/", "-")}.pcap`);
  const captures: Running[] = [];
  for (const place of [...PLACES, "tx"]) {
    const command = [
      "tcpdump",
      "-i",
      place === "node/node1" ? "host0" : "eth0",
      "-s",
      "0",
      "-U",
      "-Z",
      "root",
    ];
    captures.push(await lab.startIn(place, [...command, "-c", "20000", "-w", file(place)], /listening on/));
  }
  for (const place of ["tx", ...PLACES.slice(0, 3)])
    await lab.exec(place, ["sysctl", "-qw", "net.ipv4.tcp_ecn=1"]);

  for (const family of FAMILIES) {
    for (const place of PLACES) {
      for (const size of [1200, 333]) {
        t.test(
          `UDP over IPv${family} in pieces of ${size} bytes arrives at ${place} as it was sent`,
          async (t) => {
            const to = { place, address: await address(place, family), family };
            const { sent, received } = await sendDatagrams(lab, to, size);
            t.equal(received.length, BLOCK * BLOCKS);
            t.equal(hash(received), hash(sent));
          },
        );
      }
    }

    t.test(`the pod's kernel did hand over UDP superframes, IPv${family}`, async (t) => {
      const families = FAMILIES.indexOf(family) + 1;
      t.ok((await txPort(lab)).rxSuperframes >= families * 2 * PLACES.length * BLOCKS);
    });
  }

  const stream = randomBytes(400_000);
  for (const [family, place] of FAMILIES.flatMap((each) => PLACES.map((place) => [each, place] as const))) {
    t.test(`TCP over IPv${family} in segments of any size arrives at ${place} as it was sent`, async (t) => {
      for (const mss of [88, 1391]) {
        const output = join(lab.folder, `tcp${family}-${place.replace("/", "-")}-${mss}`);
        const listen = [
          "socat",
          "-d",
          "-d",
          "-u",
          `TCP${family}-LISTEN:${PORT},reuseaddr`,
          `CREATE:${output}`,
        ];
        const receiver = await lab.startIn(place, listen, /listening on/);
        const to = `TCP${family}:${await address(place, family)}:${PORT},mss=${mss}`;
        const send = ["socat", "-b65536", "-u", "-", to];
        await lab.exec("tx", send, { input: stream, timeoutMs: 10_000 });
        const whole = async (): Promise<boolean> => (await readFile(output)).length >= stream.length;
        await until(`${stream.length} bytes at ${place}`, whole, 3000).catch(() => {}); // what is missing is shown
        await receiver.stop();
        const received = await readFile(output);
        t.equal(received.length, stream.length, `MSS ${mss}`);
        t.equal(hash(received), hash(stream));
      }
    });
  }

  t.test("nothing was refused by a device, nor could not be cut", async (t) => {
    const { items } = await lab.json("show", "drops");
    const wrong = items.filter((d: Drop) =>
      /^(TX_ERROR|GSO_UNSUPPORTED|BAD_VNET_HEADER|INTERNAL_ERROR)$/.test(d.reason),
    );
    t.same(wrong, []);
  });

  t.test("tshark finds nothing wrong at any receiving end", async (t) => {
    for (const capture of captures) await capture.stop("SIGINT");
    for (const place of [...PLACES, "tx"]) {
      const check = await checkCapture(file(place));
      nothingWrong(t, check, place);
      t.ok(
        check.complete + check.partial > 50,
        `${place}: ${check.complete} complete, ${check.partial} partial`,
      );
    }
  });
});

function hash(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function txPort(lab: TestLab): Promise<{ rxSuperframes: number }> {
  const { items } = await lab.json("show", "ports", "--node", "node1");
  return items.find((port: { pod: string }) => port.pod === "default/tx");
}

/** Blocks of random bytes, each handed to the kernel at once to be cut into datagrams of `size`. */
async function sendDatagrams(
  lab: TestLab,
  { place, address, family }: { place: string; address: string; family: 4 | 6 },
  size: number,
): Promise<{ sent: Buffer; received: Buffer }> {
  const [input, output] = ["sent", "got"].map((name) =>
    join(lab.folder, `${name}${family}-${place.replace("/", "-")}-${size}`),
  );
  const receive = ["socat", "-d", "-d", "-u", `UDP${family}-RECV:${PORT},rcvbuf=4000000`, `CREATE:${output}`];
  const receiver = await lab.startIn(place, receive, /starting data transfer loop/);
  const block = `head -c ${BLOCK} /dev/urandom >${input}.one; cat ${input}.one >>${input}; cat ${input}.one; sleep 0.1`;
  const script = `for i in $(seq ${BLOCKS}); do ${block}; done`;
  const socat = `socat -b${BLOCK} -u - UDP${family}:${address}:${PORT},setsockopt-int=${UDP_SEGMENT}:${size}`;
  const { stderr } = await lab.exec("tx", ["sh", "-c", `{ ${script}; } | ${socat}`]);
  if (stderr !== "") throw new Error(stderr);
  const whole = async (): Promise<boolean> => (await readFile(output)).length >= BLOCK * BLOCKS;
  await until(`${BLOCK * BLOCKS} bytes at ${place}`, whole, 2000).catch(() => {}); // what is missing is shown
  await receiver.stop();
  return { sent: await readFile(input), received: await readFile(output) };
}
