// Where captured packets come from: an agent's stream, or a host interface through npm cap (libpcap).
import type { IncomingMessage } from "node:http";
import type * as CapModule from "cap";
import { isReadable, LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL } from "../../capture/link-type.ts";
import type { CaptureItem } from "../../capture/pcapng.ts";
import { PcapngReader } from "../../capture/pcapng-reader.ts";
import { callStream } from "../client.ts";
import { CliError, Exit } from "../errors.ts";
import type { NodeAt } from "../nodes/nodes.ts";
import type { CaptureSource } from "./capture-session.ts";

export interface AgentCapture {
  /** Port ids; empty = all. */
  ports: readonly number[];
  /** Base64url of a classic BPF program; "" = everything. */
  program: string;
  snapLen: number;
}

/** GET /capture of one agent: pcapng as it happens. */
export class AgentSource implements CaptureSource {
  readonly prefix: string;
  readonly #node: NodeAt;
  readonly #path: string;
  #response: IncomingMessage | undefined;
  #isStopped = false;

  constructor(node: NodeAt, capture: AgentCapture, isOnlyNode: boolean) {
    this.#node = node;
    this.prefix = isOnlyNode ? "" : `${node.name} `;
    const query = new URLSearchParams();
    if (capture.ports.length > 0) query.set("ports", capture.ports.join(","));
    if (capture.program !== "") query.set("filter", capture.program);
    if (capture.snapLen > 0) query.set("snaplen", String(capture.snapLen));
    this.#path = `/capture?${query}`;
  }

  async start(receive: (items: CaptureItem[]) => void, ended: (error?: Error) => void): Promise<void> {
    const who = `the agent of ${this.#node.name}`;
    const reader = new PcapngReader();
    this.#response = await callStream(this.#node.socket, who, { path: this.#path });
    const finish = (error?: Error): void => {
      if (this.#isStopped) return;
      this.#isStopped = true;
      ended(error ?? new CliError(`${who} ended the capture`));
    };
    this.#response.on("data", (chunk: Buffer) => {
      try {
        receive(reader.push(chunk));
      } catch (error) {
        finish(error as Error);
        this.#response?.destroy();
      }
    });
    this.#response.on("close", () => finish());
    this.#response.on("error", () => finish());
  }

  stop(): void {
    this.#isStopped = true;
    this.#response?.destroy();
  }
}

const CAP_BUFFER_BYTES = 16 << 20; // between kernel and us
const CAP_FRAME_BYTES = 65_535; //     libpcap's snap length in cap
/**
 * Cap objects and their buffers while they capture: the addon keeps no reference of its own to the buffer.
 */
const openCaps = new Set<{ cap: CapModule.Cap; buffer: Buffer }>();

/** A host interface in our own network namespace, through libpcap. */
export class InterfaceSource implements CaptureSource {
  readonly prefix = "";
  readonly #name: string;
  readonly #filter: string;
  readonly #snapLen: number;
  #open: { cap: CapModule.Cap; buffer: Buffer } | undefined;

  constructor(name: string, filter: string, snapLen: number) {
    this.#name = name;
    this.#filter = filter;
    this.#snapLen = snapLen;
  }

  async start(receive: (items: CaptureItem[]) => void): Promise<void> {
    const { Cap } = await loadCap();
    const open = { cap: new Cap(), buffer: Buffer.alloc(CAP_FRAME_BYTES) };
    this.#checkDevice(Cap.deviceList().map((device) => device.name));
    let opened: string;
    try {
      opened = open.cap.open(this.#name, this.#filter, CAP_BUFFER_BYTES, open.buffer);
    } catch (error) {
      throw this.#openError(error as Error);
    }
    const linkType = linkTypeOf(opened);
    if (!isReadable(linkType)) {
      open.cap.close();
      throw new CliError(`interface ${this.#name}: packets of link type ${opened} are not read: use tcpdump`);
    }
    this.#open = open;
    openCaps.add(open);
    const description = { name: this.#name, linkType, filter: this.#filter, snapLen: this.#snapLen };
    receive([{ type: "interface", interfaceId: 0, interface: description }]);
    open.cap.on("packet", (bytes: number) => {
      const kept = this.#snapLen > 0 ? Math.min(bytes, this.#snapLen) : bytes;
      const data = Uint8Array.prototype.slice.call(open.buffer, 0, kept); // the next frame overwrites it
      receive([
        { type: "packet", packet: { interfaceId: 0, timestampNs: nowNs(), data, originalLength: bytes } },
      ]);
    });
  }

  stop(): void {
    if (this.#open === undefined) return;
    this.#open.cap.close();
    openCaps.delete(this.#open);
    this.#open = undefined;
  }

  #checkDevice(names: readonly string[]): void {
    if (names.includes(this.#name)) return;
    const known = names.filter(
      (name) => name !== "any" && !/^(nflog|nfqueue|usbmon|bluetooth|dbus)/.test(name),
    );
    const hint =
      known.length === 0 ? "no interface may be captured from: run as root" : `there is ${known.join(", ")}`;
    throw new CliError(`interface ${this.#name}: not found: ${hint}`);
  }

  #openError(error: Error): CliError {
    const isFilter = /syntax error|filter|unknown|illegal|parse/i.test(error.message);
    const what = isFilter ? `filter "${this.#filter}"` : `interface ${this.#name}`;
    return new CliError(
      `${what}: ${error.message}`,
      isFilter ? Exit.USAGE : Exit.FAILED,
      "CAPTURE_CAP",
      error,
    );
  }
}

/** What cap calls the link types that it knows; of others it tells the number. -1: what it says is no number either. */
const CAP_LINK_TYPES: Readonly<Record<string, number>> = {
  ETHERNET: LINKTYPE_ETHERNET,
  LINKTYPE_LINUX_SLL: LINKTYPE_LINUX_SLL,
  NULL: 0,
  RAW: 101,
};

function linkTypeOf(opened: string): number {
  return CAP_LINK_TYPES[opened] ?? Number(/^unknown linktype (\d+)$/i.exec(opened)?.[1] ?? -1);
}

/** cap hands out no timestamps: these are the moment of arrival here, some microseconds late. */
const clockOffsetNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

function nowNs(): bigint {
  return clockOffsetNs + process.hrtime.bigint();
}

async function loadCap(): Promise<typeof CapModule> {
  try {
    const module = (await import("cap")) as typeof CapModule & { default?: typeof CapModule };
    return module.default ?? module;
  } catch (error) {
    const message =
      "capture --interface needs the optional package cap: " +
      "apt-get install libpcap-dev g++ make python3, then npm ci";
    throw new CliError(message, Exit.FAILED, "CAPTURE_NO_CAP", error);
  }
}
