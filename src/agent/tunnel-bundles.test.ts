import t from "tap";
import type { Native } from "../native/binding.ts";
import type { PlaneMessage } from "../plane/messages.ts";
import { TunnelBundles } from "./tunnel-bundles.ts";

const VNET_BYTES = 10;
const EAGAIN = -11;

/** Devices that take superframes whole. Each packet socket is full of others' frames unless it was told what to see. */
class StandIn {
  readonly told: PlaneMessage[] = [];
  readonly sockets = new Map<number, Uint8Array[] | "full">();
  #next = 10;

  #open(queue: Uint8Array[] | "full"): number {
    this.sockets.set(++this.#next, queue);
    return this.#next;
  }

  bundles(): TunnelBundles {
    const native = {
      ifInfo: (_netns: string, _name: string, facts: Int32Array) => {
        facts.set([7, 1500, 0x0200, 1, 1]);
        return 0;
      },
      openTap: () => this.#open([]),
      tapOffload: (_fd: number, wanted: number) => wanted,
      openPacket: () => this.#open("full"),
      packetFilter: (fd: number) => {
        this.sockets.set(fd, []);
        return 0;
      },
      closeFd: (fd: number) => void this.sockets.delete(fd),
      transmit: (...args: [Int32Array, Int32Array, Uint8Array, ...Int32Array[]]) => {
        for (const queue of this.sockets.values()) if (queue !== "full") queue.push(args[2].slice());
      },
      receive: (fd: number, _kind: number, arena: Uint8Array, offs: Int32Array, lens: Int32Array) => {
        const queue = this.sockets.get(fd);
        const frame = queue === "full" ? undefined : queue?.shift();
        if (frame === undefined) return EAGAIN;
        arena.set(frame, offs[0] - VNET_BYTES);
        lens[0] = frame.length - VNET_BYTES;
        return 1;
      },
    };
    const settings = {
      netns: "",
      tunnelBundles: true,
      overlay: { type: "vxlan" },
      uplink: { interface: "eth0", driver: "packet" },
    };
    return new TunnelBundles(
      native as unknown as Native,
      { apply: async (message: PlaneMessage) => void this.told.push(message) },
      settings as unknown as ConstructorParameters<typeof TunnelBundles>[2],
      async () => {},
    );
  }
}

t.test("packets that already pass do not hide what the trial looks for", async (t) => {
  const stand = new StandIn();
  const bundles = stand.bundles();
  bundles.onNote = (text) => t.fail(text);
  await bundles.begin();
  bundles.try();
  for (let i = 0; i < 400 && bundles.state === "off: not tried yet"; i++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(bundles.state, "on");
  t.match(stand.told, [
    { type: "config", config: { tunnel: { bundle: 0 } } },
    { type: "config", config: { tunnel: { bundle: 3, sourcePorts: 8 } } },
  ]);
  t.equal(stand.sockets.size, 0, "no descriptor is left open");
  await bundles.close();
});
