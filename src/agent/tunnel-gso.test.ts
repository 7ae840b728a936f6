import t, { type Test } from "tap";
import { PodwireError } from "../base/errors.ts";
import { Event } from "../dataplane/counters.ts";
import type { Native } from "../native/binding.ts";
import type { PlaneMessage } from "../plane/messages.ts";
import type { Plane } from "../plane/plane.ts";
import { TunnelGso } from "./tunnel-gso.ts";

const [UP, ENOENT, EPERM, EINVAL] = [1, -2, -1, -22];

/** An addon whose calls succeed but for those named in `answers`; it knows which descriptors are open. */
class StandIn {
  readonly open = new Set<number>();
  readonly told: PlaneMessage[] = [];
  readonly scripts: string[] = [];
  readonly answers: Readonly<Record<string, number>>;
  flags = UP;
  #next = 10;

  constructor(answers: Readonly<Record<string, number>> = {}) {
    this.answers = answers;
  }

  /** A descriptor, or what the call was told to answer. */
  #descriptor(call: string): number {
    const answer = this.answers[call];
    if (answer !== undefined) return answer;
    this.open.add(++this.#next);
    return this.#next;
  }

  gso(config: object = {}, broken = ""): TunnelGso {
    const native = {
      ifInfo: (_netns: string, _name: string, facts: Int32Array) => {
        facts.set([7, 1500, 0x0200, 1, this.flags]);
        return this.answers.ifInfo ?? 0;
      },
      openTap: (_netns: string, name: string) =>
        this.#descriptor(name.startsWith("pwgso") ? "tunnel" : "sink"),
      tapOffload: (_fd: number, wanted: number) => this.answers.tapOffload ?? wanted,
      openPacket: () => this.#descriptor("packet"),
      packetFilter: () => 0,
      closeFd: (fd: number) => void this.open.delete(fd),
      transmit: (...args: Int32Array[]) => args.at(-1)!.fill(EINVAL),
      receive: () => 0,
    };
    const plane = {
      apply: async (message: PlaneMessage) => void this.told.push(message),
      tables: { counters: { events: new Float64Array(1000) } },
    };
    const settings = {
      netns: "",
      tunnelGso: true,
      overlay: { type: "vxlan" },
      uplink: { interface: "eth0", driver: "packet" },
    };
    const shell = async (_netns: string, script: readonly string[]): Promise<string> => {
      this.scripts.push(script.join("\n"));
      if (broken !== "" && script.some((line) => line.includes(broken)))
        throw new PodwireError("tc: not found", { code: "TUNNEL_GSO" });
      return "";
    };
    return new TunnelGso(
      native as unknown as Native,
      plane as unknown as Plane,
      { ...settings, ...config } as unknown as ConstructorParameters<typeof TunnelGso>[2],
      shell,
    );
  }
}

/** What becomes of an attempt that goes wrong: its state, and nothing left open, nor told to the plane. */
async function attempt(t: Test, stand: StandIn, broken = ""): Promise<string> {
  const gso = stand.gso({}, broken);
  const told = new Promise<string>((resolve) => {
    gso.onNote = resolve;
  });
  gso.begin();
  const note = await told;
  await gso.close();
  t.equal(
    note,
    `tunnel GSO is ${gso.state.replace("off:", "off, superframes are cut before they enter the tunnel:")}`,
  );
  t.same([...stand.open], [], "no descriptor is left open");
  t.same(stand.told, [], "the plane is told nothing");
  return gso.state;
}

t.test("what cannot be made is told in one line and leaves nothing behind", async (t) => {
  for (const [answers, why] of [
    [{ ifInfo: ENOENT }, "eth0: ENOENT"],
    [{ tunnel: EPERM }, /TAP device pwgso7/],
    [{ tapOffload: 0 }, "this kernel takes no superframes in UDP tunnels from a TAP: Linux 6.17 does"],
    [{ sink: EPERM }, /TAP device pwcut7/],
  ] as const) {
    const stand = new StandIn(answers);
    t.match(await attempt(t, stand), why);
    t.equal(stand.scripts.length, 0, "no device is brought up");
  }
});

t.test("tc that is not there, and a superframe that is refused, close both devices", async (t) => {
  const stand = new StandIn();
  t.equal(await attempt(t, stand, "clsact"), "off: tc: not found");
  t.equal(
    await attempt(t, new StandIn()),
    "off: the kernel: TCP over IPv4 in VXLAN over IPv4: the device refuses it (EINVAL)",
  );
});

t.test("an uplink that is down is waited for without a word, and a configuration is obeyed", async (t) => {
  const stand = new StandIn();
  stand.flags = 0;
  const gso = stand.gso();
  gso.onNote = (text) => t.fail(text);
  gso.begin();
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(gso.state, "off: eth0 is down");
  await gso.close();
  for (const [config, why] of [
    [{ tunnelGso: false }, "off: dataplane.tunnelGso is false"],
    [{ overlay: { type: "none" } }, "off: there is no tunnel"],
    [{ uplink: { interface: "eth0", driver: "pcap" } }, "off: libpcap has no superframes"],
  ] as const) {
    const unwanted = stand.gso(config);
    unwanted.begin();
    await unwanted.close();
    t.equal(unwanted.state, why);
  }
  t.same([stand.open.size, stand.scripts.length], [0, 0]);
});

t.test("a device that is lost is made once more, however many workers find it lost", async (t) => {
  const events = new Float64Array(1000);
  const told: unknown[] = [];
  let fds = 10;
  let left: Uint8Array | undefined; // devices take superframes whole
  const native = {
    ifInfo: (_netns: string, _name: string, facts: Int32Array) => {
      facts.set([7, 1500, 0x0200, 1, UP]);
      return 0;
    },
    ...{ openTap: () => ++fds, openPacket: () => ++fds, packetFilter: () => 0, closeFd: () => {} },
    tapOffload: (_fd: number, wanted: number) => wanted,
    transmit: (_fd: unknown, _kind: unknown, arena: Uint8Array, [off]: Int32Array, [len]: Int32Array) => {
      left = arena.slice(off - 10, off + len);
    },
    receive: (...[, , arena, offs, lens, first]: [0, 0, Uint8Array, Int32Array, Int32Array, number]) => {
      if (left === undefined) return 0;
      arena.set(left, offs[first] - 10);
      lens[first] = left.length - 10;
      left = undefined;
      return 1;
    },
  };
  const plane = {
    apply: async ({ fd }: { fd: number }) => {
      told.push(fd < 0 ? "none" : "one");
      if (fd < 0) events[Event.TUNNEL_GSO_LOST]++; // the second worker's
    },
    tables: { counters: { events } },
  };
  const uplink = { interface: "eth0", driver: "packet" };
  const settings = { netns: "", tunnelGso: true, overlay: { type: "vxlan" }, uplink };
  const gso = new TunnelGso(
    native as unknown as Native,
    plane as unknown as Plane,
    settings as unknown as ConstructorParameters<typeof TunnelGso>[2],
    async () => "",
  );
  const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  gso.begin();
  for (let i = 0; i < 200 && gso.state !== "on"; i++) await wait(5);
  t.equal(gso.state, "on");
  events[Event.TUNNEL_GSO_LOST]++;
  for (let i = 0; i < 400 && told.length < 3; i++) await wait(5);
  await wait(1200); // two more looks
  t.same(told, ["one", "none", "one"]);
  await gso.close();
});
