// Fuzz targets `hello` and `proxy-header`: how connections to a gateway begin, gone wrong. What is said of bytes must not
// hang on how they are cut, what is taken must be what it says, and a header that is read must be written and read alike.
import { formatIp } from "../../base/ip.ts";
import { type ProxyState, readProxyHeader, writeProxyHeader } from "../../gateway/l4/proxy-protocol.ts";
import { HelloReader, type HelloState } from "../../gateway/tls/client-hello.ts";
import { record, records, written } from "../l7/hello-writer.ts";
import type { Prng } from "../prng.ts";

const NAME = /^(?:[a-z0-9_][a-z0-9_.-]*)?$/;
const PIECES_MAX = 64; // bytes of each

export function fuzzHello(frame: Uint8Array, random: Prng): void {
  const bytes = Buffer.from(frame);
  const whole = new HelloReader().push(bytes);
  const inPieces = new HelloReader();
  let state: HelloState = { kind: "more" };
  for (let at = 0; at < bytes.length && state.kind === "more"; ) {
    const piece = bytes.subarray(at, at + 1 + random.below(PIECES_MAX));
    at += piece.length;
    state = inPieces.push(piece);
  }
  expectSame("in pieces", state, whole);
  const prefix = new HelloReader().push(bytes.subarray(0, random.below(bytes.length + 1)));
  if (prefix.kind !== "more") expectSame("cut off", prefix, whole);
  if (whole.kind === "more") return;
  expectSame("with more behind it", inPieces.push(bytes), whole);
  if (whole.kind === "bad") {
    if (whole.reason === "") throw new Error("refused without a reason");
    return;
  }
  const { sni, alpn, versions } = whole.hello;
  if (!NAME.test(sni) || sni.length > 255) throw new Error(`a name that is none: ${JSON.stringify(sni)}`);
  if (alpn.some((each) => each.length === 0 || each.length > 255)) throw new Error(`protocols ${alpn}`);
  if (versions.some((each) => !(each >= 0 && each < 65_536))) throw new Error(`versions ${versions}`);
}

export function fuzzProxyHeader(frame: Uint8Array, random: Prng): void {
  const bytes = Buffer.from(frame);
  const whole = readProxyHeader(bytes);
  const prefix = readProxyHeader(bytes.subarray(0, random.below(bytes.length + 1)));
  if (prefix.kind !== "more") expectSame("cut off", shortOf(prefix), shortOf(whole));
  if (whole.kind === "bad" && whole.reason === "") throw new Error("refused without a reason");
  if (whole.kind !== "header") return;
  const { header } = whole;
  const { version, from, to, length } = header;
  if (length > bytes.length) throw new Error(`${length} bytes of ${bytes.length}`);
  const alone = readProxyHeader(bytes.subarray(0, length));
  expectSame("without what follows", shortOf(alone), shortOf(whole));
  if (from === undefined || to === undefined) return;
  const again = readProxyHeader(writeProxyHeader(version, { from, to }));
  expectSame("written again", endsOf(again), endsOf(whole));
}

export function helloSamples(): Uint8Array[] {
  const whole = written({ sni: "shop.example", alpn: ["h2", "http/1.1"] });
  return [
    ...[record(whole), records(whole, [1, 2, 3, 50]), records(written({ sni: "A.Example." }), [40, 40])],
    ...[record(written({})), record(written({ alpn: ["h2"], extensions: [[21, Buffer.alloc(300)]] }))],
  ];
}

export function proxyHeaderSamples(): Uint8Array[] {
  const text = [
    "PROXY TCP4 192.0.2.1 192.0.2.2 1 65535\r\nGET / HTTP/1.1\r\n",
    "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 443 80\r\n",
    "PROXY UNKNOWN whatever it may be\r\n",
    "GET / HTTP/1.1\r\n",
  ];
  const signature = "0d0a0d0a000d0a515549540a";
  const binary = [
    `${signature}2111000cc0000201c000020200010002`,
    `${signature}21110013c0000201c00002020001000204000101030001aa`,
    `${signature}21210024${"20010db8".padEnd(32, "0")}${"1".repeat(32)}00010002`,
    `${signature}200000`.padEnd(32, "0"),
    `${signature}213100d8${"00".repeat(216)}`,
  ];
  return [
    ...text.map((each) => Buffer.from(each, "latin1")),
    ...binary.map((each) => Buffer.from(each, "hex")),
  ];
}

function expectSame(how: string, found: unknown, whole: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(whole)];
  if (a !== b) throw new Error(`${how}: ${a}, whole: ${b}`);
}

/** Without why: of half a header it may be another reason. */
function shortOf(state: ProxyState): unknown {
  return state.kind === "header" ? { ...state.header } : state.kind;
}

function endsOf(state: ProxyState): unknown {
  if (state.kind !== "header") return state;
  const { from, to } = state.header;
  return [from, to].map((end) => end && `${formatIp(end.address)} ${end.port}`);
}
