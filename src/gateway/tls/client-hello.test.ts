// ClientHellos: what OpenSSL and Node send, however it is cut; what is wrong is refused, and nothing makes it throw.
import { createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { createSecureContext, TLSSocket, connect as tlsConnect } from "node:tls";
import fc from "fast-check";
import t from "tap";
import { Authority } from "../../testing/l7/authority.ts";
import {
  nameList,
  record,
  records,
  u8,
  vec16,
  type Written,
  written,
} from "../../testing/l7/hello-writer.ts";
import { Prng } from "../../testing/prng.ts";
import { HELLO_MAX, HelloReader, type HelloState } from "./client-hello.ts";

/** What a reader says of bytes that come in pieces of these lengths. */
function read(bytes: Buffer, pieces: readonly number[] = []): HelloState {
  const reader = new HelloReader();
  let at = 0;
  for (const length of pieces) {
    const state = reader.push(bytes.subarray(at, at + length));
    at += length;
    if (state.kind !== "more") return state;
  }
  return reader.push(bytes.subarray(at));
}

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
const host = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 40 });

t.test(
  "name and protocols are read, in whatever records and pieces they come, and what follows is nobody's",
  async () => {
    fc.assert(
      fc.property(
        fc.record({
          sni: fc.option(host, { nil: undefined }),
          alpn: fc.option(fc.array(fc.constantFrom("h2", "http/1.1"), { minLength: 1, maxLength: 3 }), {
            nil: undefined,
          }),
        }),
        ...([sizes, sizes, fc.uint8Array({ maxLength: 20 })] as const),
        ({ sni, alpn }, cuts, pieces, rest) => {
          const bytes = Buffer.concat([
            records(
              written({
                ...(sni !== undefined && { sni: sni.toUpperCase() }),
                ...(alpn !== undefined && { alpn }),
              }),
              cuts,
            ),
            rest,
          ]);
          const state = read(bytes, pieces);
          if (state.kind !== "hello") return false;
          const { hello } = state;
          return (
            hello.sni === (sni ?? "") &&
            hello.alpn.join() === (alpn ?? []).join() &&
            hello.versions.join() === [0x5a5a, 0x0304, 0x0303].join()
          );
        },
      ),
    );
  },
);

t.test("a part of it is not enough, each byte of it", async (t) => {
  const bytes = records(written({ sni: "a.example", alpn: ["h2"] }), [1, 2, 3, 50]);
  for (let cut = 0; cut < bytes.length; cut++)
    if (read(bytes.subarray(0, cut)).kind !== "more")
      t.fail(`${cut} of ${bytes.length} bytes are taken for all`);
  t.equal(read(bytes).kind, "hello");
});

t.test("what is wrong is refused, with its reason", async (t) => {
  const hello = (more: Written): Buffer => record(written(more));
  const sni = (data: Buffer): Buffer => hello({ extensions: [[0, data]] });
  const cut = written({ sni: "a" });
  cut.writeUInt16BE(cut.readUInt16BE(2) - 1, 2);
  for (const [bytes, reason] of [
    [Buffer.from("GET / HTTP/1.1\r\n"), /does not begin with TLS/],
    [Buffer.from([22, 2, 0]), /does not begin with TLS/],
    [Buffer.from([0x80, 0x2e, 1, 3, 1]), /does not begin with TLS/],
    [Buffer.from([22, 3, 1, 0, 0]), /is empty/],
    [Buffer.from([22, 3, 1, 0x40, 1]), /longer than records are/],
    [record(Buffer.from([2, 0, 0, 0])), /no ClientHello/],
    [record(Buffer.from([1, 0, 0x40, 0])), /has 16388 bytes: at most 16384/],
    [record(cut), /is shorter than its lengths say/],
    [hello({ sni: "a.example", extensions: [[0, nameList("b.example")]] }), /extension 0 twice/],
    [
      sni(vec16(Buffer.concat([u8(0), vec16(Buffer.from("a")), u8(0), vec16(Buffer.from("b"))]))),
      /longer than/,
    ],
    [sni(vec16(Buffer.concat([u8(1), vec16(Buffer.from("a"))]))), /of another kind/],
    [sni(Buffer.concat([nameList("a"), u8(0)])), /longer than its lengths/],
    [sni(Buffer.alloc(0)), /shorter/],
    [hello({ sni: "" }), /empty field/],
    [hello({ sni: "a\0.example" }), /no host's/],
    [hello({ sni: "a b" }), /no host's/],
    [hello({ sni: "a".repeat(256) }), /no host's/],
    [hello({ alpn: [""] }), /empty field/],
    [hello({ extensions: [[16, vec16(Buffer.from([5, 1]))]] }), /shorter/],
  ] as const)
    t.match(read(bytes), { kind: "bad", reason }, String(reason));
  t.match(read(hello({ sni: "A.Example." })), { hello: { sni: "a.example" } });
});

t.test(
  "tiny records without an end, and messages of any length, take neither memory nor time without bounds",
  async (t) => {
    const reader = new HelloReader();
    let state: HelloState = { kind: "more" };
    let bytes = 0;
    const header = Buffer.from([1, 0, 0x3f, 0xf0]);
    for (const byte of [...header, ...Buffer.alloc(HELLO_MAX)]) {
      const piece = record(u8(byte));
      bytes += piece.length;
      state = reader.push(piece);
      if (state.kind !== "more") break;
    }
    t.match(state, { kind: "bad", reason: /does not end/ });
    t.ok(bytes <= 2 * HELLO_MAX + 6, `${bytes} bytes were looked at`);
  },
);

t.test("changed bytes and any bytes give an answer: more, hello or bad, and bad stays bad", async () => {
  const good = records(written({ sni: "a.example", alpn: ["h2", "http/1.1"] }), [40]);
  const changed = fc
    .array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 })
    .map((all) => {
      const copy = Buffer.from(good);
      for (const [at, value] of all) copy[at] = value;
      return copy;
    });
  const any = fc.uint8Array({ maxLength: 100 }).map((rest) => Buffer.concat([Buffer.from([22, 3, 1]), rest]));
  fc.assert(
    fc.property(fc.oneof(changed, any), sizes, (bytes, pieces) => {
      const [whole, inPieces] = [read(bytes), read(bytes, pieces)];
      const reader = new HelloReader();
      const first = reader.push(bytes);
      return (
        JSON.stringify(whole) === JSON.stringify(inPieces) &&
        (first.kind === "more" || reader.push(good) === first)
      );
    }),
    { numRuns: 5000 },
  );
});

/** What comes first on a connection. */
function firstBytes(): Promise<{ port: number; bytes: Promise<Buffer>; close(): void }> {
  return new Promise((resolve) => {
    let done: (bytes: Buffer) => void = () => {};
    const bytes = new Promise<Buffer>((take) => {
      done = take;
    });
    const open = new Set<Socket>();
    const server = createServer((socket) => {
      open.add(socket);
      socket.on("error", () => {});
      socket.once("data", done);
    });
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      const close = (): void => {
        for (const socket of open) socket.destroy();
        server.close();
      };
      resolve({ port, bytes, close });
    });
  });
}

t.test("Node's own TLS is read: its name, its protocols, TLS 1.3", async (t) => {
  const { port, bytes, close } = await firstBytes();
  const client = tlsConnect({
    port,
    host: "127.0.0.1",
    servername: "shop.example",
    ALPNProtocols: ["h2", "http/1.1"],
  });
  client.on("error", () => {});
  const state = read(await bytes);
  client.destroy();
  close();
  t.match(state, { kind: "hello", hello: { sni: "shop.example", alpn: ["h2", "http/1.1"] } });
  t.ok(state.kind === "hello" && state.hello.versions.includes(0x0304));
});

/** The name that OpenSSL reads of a hello, small; undefined: it does not come so far. */
function nameByOpenSsl(bytes: Buffer, secureContext: ReturnType<typeof createSecureContext>) {
  return new Promise<string | undefined>((resolve) => {
    let tls: TLSSocket | undefined;
    const done = (name: string | undefined): void => {
      resolve(name);
      setImmediate(() => tls?.destroy());
    };
    const wire = new Duplex({
      read: () => {},
      write: (_, __, written) => {
        written();
        done(undefined); // an alert, or an answer to a hello without a name
      },
    });
    tls = new TLSSocket(wire as unknown as Socket, {
      ...{ isServer: true, secureContext },
      SNICallback: (name) => done(name.toLowerCase().replace(/\.$/, "")),
    });
    for (const event of ["error", "_tlsError", "close"]) tls.on(event, () => done(undefined));
    wire.push(bytes);
    setTimeout(() => done(undefined), 500).unref();
  });
}

t.test("no hello has two names: what OpenSSL takes for its name is what is read here", async (t) => {
  const secureContext = createSecureContext(await (await Authority.make("r")).issue({ names: ["a.t"] }));
  const { port, bytes, close } = await firstBytes();
  const client = tlsConnect({ port, host: "127.0.0.1", servername: "shop.example", ALPNProtocols: ["h2"] });
  client.on("error", () => {});
  const good = await bytes;
  client.destroy();
  close();
  t.equal(await nameByOpenSsl(good, secureContext), "shop.example");
  const seed = Date.now() & 0xfffff;
  t.comment(`seed ${seed}`);
  const random = new Prng(seed);
  const at = good.indexOf("shop.example");
  let [named, refused] = [0, 0];
  for (let i = 0; i < 600; i++) {
    const changed = Buffer.from(good);
    // Most changes where the name is: anywhere else there is most often a key.
    for (let n = random.below(4); n >= 0; n--)
      changed[random.below(2) === 0 ? random.below(good.length) : at - 9 + random.below(24)] =
        random.below(256);
    const theirs = await nameByOpenSsl(changed, secureContext);
    const ours = read(changed);
    if (ours.kind === "bad") refused++;
    if (theirs === undefined) continue;
    named++;
    if (ours.kind === "hello" && ours.hello.sni !== theirs)
      t.fail(`${changed.toString("hex")}: ${ours.hello.sni}, by OpenSSL ${theirs}`);
  }
  t.ok(named > 50 && refused > 50, `${named} had a name for OpenSSL, ${refused} were refused`);
});
