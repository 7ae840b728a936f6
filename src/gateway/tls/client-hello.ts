// The first message of TLS, read as it comes in: which name and which protocols a client asks for, before anybody answers
// it (RFC 8446 §4.1.2, §5.1; RFC 6066 §3; RFC 7301 §3.1). Nothing is kept of it but that; all lengths are held to what
// encloses them. What OpenSSL refuses and what two readers could read in two ways is refused: extensions that come twice,
// several names, empty records. SSL 2's form is not read.

/** Numbers are big-endian; lengths in bytes. */
const RECORD = { handshake: 22, header: 5, lengthMax: 16_384, major: 3 } as const;
const CLIENT_HELLO = 1;
const MESSAGE_HEADER = 4;
const EXTENSION = { serverName: 0, alpn: 16, versions: 43 } as const;
const HOST_NAME = 0;
/** Hellos with keys for the time after quantum computers have 2 KiB; nginx and HAProxy read up to 16. */
export const HELLO_MAX = 16_384;
const NAME_MAX = 255;
const NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)$/;

export interface ClientHello {
  /** In small letters, without a final dot; "": it asks for no name. */
  readonly sni: string;
  /** In the client's order: "h2", "http/1.1"; empty: it does not say. */
  readonly alpn: readonly string[];
  /** 0x0304 is TLS 1.3; of a client that does not list them the one it begins with. */
  readonly versions: readonly number[];
}

export type HelloState =
  | { readonly kind: "more" }
  | { readonly kind: "hello"; readonly hello: ClientHello }
  /** `reason`: one sentence without an end. */
  | { readonly kind: "bad"; readonly reason: string };

const MORE: HelloState = { kind: "more" };

class Malformed extends Error {}

/** Of one connection. Once it has said `hello` or `bad` it says nothing else. */
export class HelloReader {
  /** What of the message has come, its header counted, records' headers taken off. */
  readonly #message: Buffer[] = [];
  #messageLength = 0;
  #seen = 0;
  /** Of a record's header that is not whole yet. */
  readonly #header = Buffer.alloc(RECORD.header);
  #headerLength = 0;
  /** Of the record's contents that have still to come. */
  #left = 0;
  #end: HelloState | undefined;

  /** The next bytes of the connection, however they are cut. */
  push(chunk: Buffer): HelloState {
    if (this.#end !== undefined) return this.#end;
    try {
      const state = this.#take(chunk);
      if (state.kind !== "more") this.#end = state;
      return state;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#end = { kind: "bad", reason: error.message };
      return this.#end;
    }
  }

  #take(chunk: Buffer): HelloState {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        at = this.#takeHeader(chunk, at);
        if (this.#left === 0) continue;
      }
      const part = chunk.subarray(at, at + this.#left);
      at += part.length;
      this.#left -= part.length;
      this.#message.push(part);
      this.#messageLength += part.length;
      const wanted = this.#wanted();
      if (wanted > HELLO_MAX)
        throw new Malformed(`its first message has ${wanted} bytes: at most ${HELLO_MAX} are read`);
      if (this.#messageLength >= wanted)
        return { kind: "hello", hello: readHello(this.#whole().subarray(0, wanted)) };
    }
    this.#seen += chunk.length;
    // Many small records could go on for ever; no client cuts its hello into more than a few.
    if (this.#seen > 2 * HELLO_MAX) throw new Malformed("its first message does not end");
    return MORE;
  }

  /** Where the chunk goes on behind the header. */
  #takeHeader(chunk: Buffer, from: number): number {
    const part = chunk.subarray(from, from + RECORD.header - this.#headerLength);
    part.copy(this.#header, this.#headerLength);
    this.#headerLength += part.length;
    const type = this.#header[0];
    if (type !== RECORD.handshake || (this.#headerLength > 1 && this.#header[1] !== RECORD.major))
      throw new Malformed("it does not begin with TLS");
    if (this.#headerLength < RECORD.header) return from + part.length;
    this.#headerLength = 0;
    this.#left = this.#header.readUInt16BE(3);
    if (this.#left === 0) throw new Malformed("a record of its first message is empty");
    if (this.#left > RECORD.lengthMax)
      throw new Malformed("a record of its first message is longer than records are");
    return from + part.length;
  }

  /** Bytes of the message, header counted; as far as that is known, its header's. */
  #wanted(): number {
    if (this.#messageLength < MESSAGE_HEADER) return MESSAGE_HEADER + 1;
    const message = this.#whole();
    if (message[0] !== CLIENT_HELLO) throw new Malformed("its first message is no ClientHello");
    return MESSAGE_HEADER + message.readUIntBE(1, 3);
  }

  #whole(): Buffer {
    if (this.#message.length > 1) this.#message.splice(0, this.#message.length, Buffer.concat(this.#message));
    return this.#message[0];
  }
}

/** Reads fields one after the other, none past its end. */
class Cursor {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Malformed(`${this.#what} is shorter than its lengths say`);
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  number(bytes: 1 | 2): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }

  /** What has its length before it. */
  vector(lengthBytes: 1 | 2, min: number): Buffer {
    const length = this.number(lengthBytes);
    if (length < min) throw new Malformed(`${this.#what} has an empty field where something has to be`);
    return this.take(length);
  }

  end(): void {
    if (!this.isAtEnd) throw new Malformed(`${this.#what} is longer than its lengths say`);
  }
}

function readHello(message: Buffer): ClientHello {
  const all = new Cursor(message.subarray(MESSAGE_HEADER), "its ClientHello");
  const version = all.number(2);
  all.take(32); // random
  if (all.vector(1, 0).length > 32)
    throw new Malformed("its ClientHello has a session's name longer than they are");
  if (all.vector(2, 2).length % 2 !== 0) throw new Malformed("its ClientHello lists half a cipher");
  all.vector(1, 1); // compression
  const extensions = all.isAtEnd ? new Map<number, Buffer>() : readExtensions(all.vector(2, 0));
  all.end();
  const [name, alpn, versions] = [EXTENSION.serverName, EXTENSION.alpn, EXTENSION.versions].map((type) =>
    extensions.get(type),
  );
  return {
    sni: name === undefined ? "" : readName(name),
    alpn: alpn === undefined ? [] : readProtocols(alpn),
    versions: versions === undefined ? [version] : readVersions(versions),
  };
}

function readExtensions(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (const cursor = new Cursor(bytes, "its list of extensions"); !cursor.isAtEnd; ) {
    const type = cursor.number(2);
    if (found.has(type)) throw new Malformed(`its ClientHello has extension ${type} twice`);
    found.set(type, cursor.vector(2, 0));
  }
  return found;
}

function readName(bytes: Buffer): string {
  const outer = new Cursor(bytes, "its server name");
  const list = new Cursor(outer.vector(2, 1), "its server name");
  outer.end();
  if (list.number(1) !== HOST_NAME) throw new Malformed("its server name is of another kind than a host's");
  const name = list.vector(2, 1).toString("latin1");
  list.end();
  if (name.length > NAME_MAX || !NAME.test(name)) throw new Malformed("its server name is no host's");
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}

function readProtocols(bytes: Buffer): string[] {
  const outer = new Cursor(bytes, "its list of protocols");
  const list = new Cursor(outer.vector(2, 2), "its list of protocols");
  outer.end();
  const names: string[] = [];
  while (!list.isAtEnd) names.push(list.vector(1, 1).toString("latin1"));
  return names;
}

function readVersions(bytes: Buffer): number[] {
  const outer = new Cursor(bytes, "its list of versions");
  const list = new Cursor(outer.vector(1, 2), "its list of versions");
  outer.end();
  const versions: number[] = [];
  while (!list.isAtEnd) versions.push(list.number(2));
  return versions;
}
