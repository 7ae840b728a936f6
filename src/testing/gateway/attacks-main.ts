// One attack on a gateway, as a process of its own: HOST PORT TLS-PORT SEED SECONDS ATTACK; "all": all of them, in turns.
// Prints a line of JSON for each.
import { Prng } from "../prng.ts";
import { Attacker } from "./attacker.ts";
import { ATTACKS } from "./attacks.ts";

const [host, port, tlsPort, seed, seconds, wanted] = process.argv.slice(2);
const names = wanted === "all" ? Object.keys(ATTACKS) : [wanted];
for (const name of names) {
  const target = { host, port: Number(port), tlsPort: Number(tlsPort), name: "a.example" };
  const attacker = new Attacker(target, new Prng(Number(seed)));
  const attack = ATTACKS[name](attacker);
  await attacker.wait((Number(seconds) * 1000) / names.length);
  attacker.end();
  await attack;
  console.log(JSON.stringify({ attack: name, ...attacker.counts }));
}
process.exit(0);
