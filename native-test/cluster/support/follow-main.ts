// Two ends of a service, to see when new connections go elsewhere:
//   follow-main serve ADDRESS PORT LETTER …    answers each datagram with its letter
//   follow-main ask ADDRESS PORT               asks every millisecond from a port of its own, and prints a letter and the
//                                              time, CLOCK_MONOTONIC in µs, whenever it is another one than before
import { createSocket } from "node:dgram";

const PATIENCE_MS = 2000;
const [what, ...words] = process.argv.slice(2);

function serve(address: string, port: number, letter: string): void {
  const socket = createSocket("udp4");
  socket.on("message", (_, from) => socket.send(letter, from.port, from.address));
  socket.bind(port, address, () => console.log("ready"));
}

function ask(address: string, port: number): void {
  let last = "";
  setInterval(() => {
    const socket = createSocket("udp4");
    const timer = setTimeout(() => socket.close(), PATIENCE_MS);
    socket.on("message", (text) => {
      const now = Number(process.hrtime.bigint() / 1000n);
      const letter = text.toString();
      if (letter !== last) console.log(`${letter} ${now}`);
      last = letter;
      clearTimeout(timer);
      socket.close();
    });
    socket.on("error", () => {}); // nobody listens yet
    socket.send("?", port, address);
  }, 1);
  console.log("ready");
}

if (what === "serve") {
  for (let i = 0; i + 2 < words.length; i += 3) serve(words[i], Number(words[i + 1]), words[i + 2]);
} else ask(words[0], Number(words[1]));
