import t from "tap";
import type { CaptureItem, CapturePacket } from "../../capture/pcapng.ts";
import type { CaptureOutput } from "./capture-output.ts";
import { CaptureSession, type CaptureSource } from "./capture-session.ts";

class FakeSource implements CaptureSource {
  readonly prefix: string;
  receive: (items: CaptureItem[]) => void = () => {};
  ended: (error?: Error) => void = () => {};
  isStopped = false;
  constructor(prefix: string) {
    this.prefix = prefix;
  }
  async start(receive: (items: CaptureItem[]) => void, ended: (error?: Error) => void): Promise<void> {
    this.receive = receive;
    this.ended = ended;
    receive([{ type: "interface", interfaceId: 0, interface: { name: "eth0" } }]);
  }
  stop(): void {
    this.isStopped = true;
  }
  packet(timestampNs: bigint, more: Partial<CapturePacket> = {}): void {
    this.receive([
      { type: "packet", packet: { interfaceId: 0, timestampNs, data: new Uint8Array(1), ...more } },
    ]);
  }
}

function fakeOutput(fail?: Error) {
  const log: string[] = [];
  const output: CaptureOutput = {
    addInterface: ({ name }) => log.push(`interface ${name}`) - 1,
    packet: ({ interfaceId, timestampNs }) => {
      if (fail) throw fail;
      log.push(`packet ${timestampNs} on ${interfaceId}`);
    },
    names: (entries) => void log.push(`names ${entries.length}`),
    statistics: ({ interfaceId, dropped }) => void log.push(`statistics ${interfaceId}: ${dropped} dropped`),
    flush: () => {},
    close: () => void log.push("closed"),
  };
  return { log, output };
}

t.test(
  "packets of several nodes come out in the order of time, interfaces under their node's name",
  async (t) => {
    const [a, b] = [new FakeSource("node1 "), new FakeSource("node2 ")];
    const { log, output } = fakeOutput();
    const session = new CaptureSession(output, [a, b]);
    const result = await session.run(() => {
      a.packet(30n);
      b.packet(20n, { dropCount: 2 });
      a.packet(10n);
      b.receive([{ type: "names", names: [] }]);
      setTimeout(() => session.stop(), 10);
    });
    t.same(log, [
      "interface node1 eth0",
      "interface node2 eth0",
      "names 0",
      "packet 10 on 0",
      "packet 20 on 1",
      "packet 30 on 0",
      "closed",
    ]);
    t.match(result, { packets: 3, dropped: 2, errors: [] });
    t.ok(a.isStopped && b.isStopped);
  },
);

t.test("a count ends the session, exactly", async (t) => {
  const source = new FakeSource("");
  const { log, output } = fakeOutput();
  const result = await new CaptureSession(output, [source], 2).run(() => {
    for (let i = 0; i < 5; i++) source.packet(BigInt(i));
  });
  t.equal(result.packets, 2);
  t.equal(log.filter((line) => line.startsWith("packet")).length, 2);
});

t.test("an output that fails ends the session with its error, and is closed", async (t) => {
  const source = new FakeSource("");
  const { log, output } = fakeOutput(new Error("no space"));
  await t.rejects(
    new CaptureSession(output, [source]).run(() => source.packet(1n)),
    /no space/,
  );
  t.equal(log.at(-1), "closed");
});

t.test("the last source that ends, ends the session and says why", async (t) => {
  const [a, b] = [new FakeSource("a "), new FakeSource("b ")];
  const { output } = fakeOutput();
  const result = await new CaptureSession(output, [a, b]).run(() => {
    a.ended(new Error("agent a is gone"));
    b.packet(1n);
    b.ended();
  });
  t.match(result, { packets: 1, errors: [{ message: "agent a is gone" }] });
});

t.test("running statistics replace what packets said of losses", async (t) => {
  const source = new FakeSource("");
  const { log, output } = fakeOutput();
  const session = new CaptureSession(output, [source]);
  const result = await session.run(() => {
    source.packet(1n, { dropCount: 1 });
    for (const dropped of [1, 5]) {
      source.receive([{ type: "statistics", statistics: { interfaceId: 0, timestampNs: 2n, dropped } }]);
    }
    session.stop();
  });
  t.equal(result.dropped, 5);
  t.same(log.slice(-2), ["statistics 0: 5 dropped", "closed"]);
});
