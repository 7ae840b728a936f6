// The uplink by libpcap, through the npm package cap: the second driver behind the same Port, for hosts where
// an own AF_PACKET socket is not wanted, and to compare with. It is an order of magnitude slower than
// packet-socket.ts: frame by frame through the event loop, without superframes.
//
// What has to be known about it:
// - cap calls back on the main thread's event loop and aborts in a worker thread, so a plane that uses this
//   port runs on the main thread.
// - It opens the interface in the namespace of the process: start the agent inside the node's namespace.
// - libpcap hands over no vnet header. Superframes to send are cut here (wire/bytes/plain-frames.ts); superframes
//   that arrive, and frames whose checksum a veth peer left to the hardware, are not what their headers say.
//   So switch offloads off at both ends of the link: ethtool -K IFACE tx off gso off tso off gro off.
// - For an interface without an address cap prints "Warning: … This may not actually work" to stderr. It
//   works.
// - The filter word "inbound" would say best what we want, but libpcap 1.10 filters the first frame after
//   opening in user space, where that word never matches: one frame lost. So the filter is on our own MAC
//   address.
// - Cap writes each frame to a Buffer it does not keep alive: both hang on this object.
import { isMainThread } from "node:worker_threads";
import { IoKind } from "../base/addon.ts";
import type { Port, PortRole } from "../dataplane/port.ts";
import type { Native } from "../native/binding.ts";
import * as plainFrames from "../wire/bytes/plain-frames.ts";
import { DeviceError, openError } from "./device-error.ts";
import { FrameQueue, storeFrame } from "./frame-queue.ts";

export interface PcapUplinkOptions {
  readonly interface: string;
  readonly role: PortRole;
  readonly name?: string;
  /**
   * libpcap filter for arriving frames. Default: not what carries our own source address, i.e. what we sent.
   */
  readonly filter?: string;
  /** Frames that may wait for `receive`. Default 4096. */
  readonly queueFrames?: number;
  /** Called when frames wait; the owner of the plane then polls it. */
  readonly onReadable?: () => void;
}

type CapModule = typeof import("cap");
type Cap = InstanceType<CapModule["Cap"]>;

const SNAP_BYTES = 65535; // cap's fixed snap length
const KERNEL_BUFFER_BYTES = 1 << 24;
const VNET_HDR_BYTES = 10;
const HEADROOM = 16;
const OUT = 1 << 17; // where cut frames are laid, behind the largest superframe
const ENODEV = 19;
const EIO = 5;

function macText(hi: number, lo: number): string {
  const digits = hi.toString(16).padStart(4, "0") + (lo >>> 0).toString(16).padStart(8, "0");
  return digits.replace(/..(?!$)/g, "$&:");
}

/** Loads cap, or says which packages it needs. */
async function loadCap(): Promise<CapModule> {
  try {
    const loaded = (await import("cap")) as CapModule & { default?: CapModule };
    return loaded.default ?? loaded;
  } catch (cause) {
    throw new DeviceError(
      "the pcap driver needs cap and libpcap: apt-get install libpcap-dev g++ make python3, then npm ci",
      { code: "PCAP_MISSING", cause },
    );
  }
}

/** Caps that did not open: collected, cap closes what it never opened, and now and then the process with it. */
const unopened: Cap[] = [];

export class PcapUplink implements Port {
  readonly name: string;
  readonly role: PortRole;
  readonly ioKind = IoKind.PACKET;
  readonly fd = -1;
  readonly incoming: FrameQueue;
  /** Frames cut short by libpcap's snap length, dropped. */
  truncated = 0;
  readonly #cap: Cap;
  readonly #captureBuffer = Buffer.alloc(SNAP_BYTES);
  readonly #arena = new Uint8Array(OUT * 3);
  readonly #view = new DataView(this.#arena.buffer);
  readonly #result = new Int32Array(3);
  #open = false;

  private constructor(cap: Cap, options: PcapUplinkOptions) {
    this.name = options.name ?? options.interface;
    this.role = options.role;
    this.incoming = new FrameQueue(options.queueFrames ?? 4096);
    this.#cap = cap;
    this.#cap.on("packet", (bytes, isTruncated) => {
      if (isTruncated || bytes >= SNAP_BYTES) this.truncated++;
      else if (this.incoming.push(storeFrame(this.#captureBuffer.subarray(0, bytes)))) options.onReadable?.();
    });
  }

  static async open(native: Pick<Native, "ifInfo">, options: PcapUplinkOptions): Promise<PcapUplink> {
    if (!isMainThread) {
      throw new DeviceError("the pcap driver works on the main thread only", { code: "PCAP_WORKER_THREAD" });
    }
    const facts = new Int32Array(5);
    const found = native.ifInfo("", options.interface, facts);
    if (found < 0) throw openError("libpcap on", options.interface, "", found);
    const { Cap } = await loadCap();
    const port = new PcapUplink(new Cap(), options);
    const filter = options.filter ?? `not ether src ${macText(facts[2], facts[3])}`;
    let linkType: string;
    try {
      linkType = port.#cap.open(options.interface, filter, KERNEL_BUFFER_BYTES, port.#captureBuffer);
    } catch (cause) {
      unopened.push(port.#cap);
      const reason =
        cause instanceof Error && cause.message !== "" ? cause.message : "no such interface, or not root";
      throw new DeviceError(`cannot open ${options.interface} with libpcap: ${reason}`, {
        code: "DEVICE_OPEN",
        interface: options.interface,
        cause,
      });
    }
    port.#open = true;
    if (linkType === "ETHERNET") return port;
    port.close();
    throw new DeviceError(`${options.interface} is not an Ethernet interface but ${linkType}`, {
      code: "DEVICE_LINK_TYPE",
      interface: options.interface,
    });
  }

  receive(
    arena: Uint8Array,
    offs: Int32Array,
    lens: Int32Array,
    first: number,
    max: number,
    slotBytes: number,
  ): number {
    return this.incoming.receiveInto(arena, offs, lens, first, max, slotBytes);
  }

  /**
   * Sends the frame, cut into plain frames if it is a superframe. A failure after the first piece loses the
   * rest.
   */
  transmit(arena: Uint8Array, off: number, len: number): number {
    if (!this.#open) return -ENODEV;
    const mine = this.#arena;
    mine.set(arena.subarray(off - VNET_HDR_BYTES, off + len), HEADROOM - VNET_HDR_BYTES);
    const result = this.#result;
    const count = plainFrames.toPlainFrames(mine, this.#view, HEADROOM, len, OUT, 2 * OUT, result);
    if (count < 0) return count;
    const [, bytes, stride] = result;
    try {
      for (let at = 0; at < bytes; at += stride) {
        const frame = Buffer.from(mine.buffer, OUT + at, Math.min(stride, bytes - at));
        this.#cap.send(frame, frame.length);
      }
    } catch {
      return -EIO;
    }
    return 0;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#cap.close();
  }
}
