// A small FTP server for the tests (RFC 959, RFC 2428): one file, anonymous, active and passive, both families.
// Usage: node ftp-server.js PORT TEXT
import { createServer, isIPv6, type Server, Socket } from "node:net";

const [port, text] = process.argv.slice(2);

class Session {
  private passive: Server | undefined;
  /** The client may come before it says what it wants. */
  private arrived: Promise<Socket> | undefined;
  private target: { host: string; port: number } | undefined;
  private readonly control: Socket;

  constructor(control: Socket) {
    this.control = control;
    let rest = "";
    control.on("error", () => {});
    control.on("close", () => this.passive?.close());
    control.on("data", (bytes) => {
      const lines = (rest + bytes.toString("latin1")).split("\r\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.command(line);
    });
    this.say("220 ready");
  }

  private say(line: string): void {
    this.control.write(`${line}\r\n`);
  }

  private command(line: string): void {
    const verb = line.split(" ", 1)[0].toUpperCase();
    const rest = line.slice(verb.length + 1);
    const own = (this.control.localAddress ?? "").replace(/^::ffff:/, "");
    const answers: Record<string, () => void> = {
      USER: () => this.say("331 any password"),
      PASS: () => this.say("230 welcome"),
      PWD: () => this.say('257 "/"'),
      TYPE: () => this.say("200 as you like"),
      SIZE: () => this.say(`213 ${text.length}`),
      QUIT: () => this.say("221 bye"),
      PASV: () => this.listen((p) => `227 Passive (${own.replaceAll(".", ",")},${p >> 8},${p & 255})`),
      EPSV: () => this.listen((p) => `229 Extended passive (|||${p}|)`),
      PORT: () => {
        const n = rest.split(",").map(Number);
        this.connectTo(n.slice(0, 4).join("."), n[4] * 256 + n[5]);
      },
      EPRT: () => {
        const [, , host, p] = rest.split(rest[0]);
        this.connectTo(host, Number(p));
      },
      RETR: () => this.retrieve(),
    };
    (answers[verb] ?? (() => this.say("502 not here")))();
  }

  private listen(answer: (port: number) => string): void {
    this.passive?.close();
    const server = createServer();
    this.passive = server;
    this.target = undefined;
    this.arrived = new Promise((resolve) => server.once("connection", resolve));
    server.listen(0, "::", () => this.say(answer((server.address() as { port: number }).port)));
  }

  private connectTo(host: string, p: number): void {
    this.passive?.close();
    this.passive = undefined;
    this.target = { host, port: p };
    this.say("200 I shall call");
  }

  private retrieve(): void {
    const send = (data: Socket): void => {
      data.on("error", () => this.say("426 broken"));
      data.end(text, () => this.say("226 done"));
    };
    this.say("150 here it comes");
    if (this.passive !== undefined) {
      this.arrived?.then(send);
      return;
    }
    if (this.target === undefined) {
      this.say("425 whereto?");
      return;
    }
    const data = new Socket();
    data.once("error", () => this.say("425 cannot reach you"));
    const { host } = this.target;
    const localAddress = isIPv6(host) ? this.control.localAddress : undefined;
    data.connect(
      { ...this.target, localPort: 20, ...(localAddress === undefined ? {} : { localAddress }) },
      () => send(data),
    );
  }
}

createServer((control) => new Session(control)).listen(Number(port), "::", () => console.log("listening"));
