import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { cidr, formatIp, ip } from "../base/ip.ts";
import { Prng } from "../testing/prng.ts";
import type { FileSystem } from "./lease-file.ts";
import { type Lease, Leases, type Wanted } from "./leases.ts";

const FS: FileSystem = { mkdir, open, rename };
const V4 = cidr("10.244.1.0/29"); // 10.244.1.2 to .6
const V6 = cidr("fd00:10:244:1::/64");

const folder = mkdtempSync(join(tmpdir(), "podwire-leases-"));
t.teardown(() => rmSync(folder, { recursive: true }));
let files = 0;
const newFile = (): string => join(folder, `${++files}`, "leases.json");

function wanted(containerId: string, more: Partial<Wanted> = {}): Wanted {
  return {
    ...{ network: "net", containerId, ifname: "eth0", netns: `/run/netns/${containerId}`, pod: null },
    ...{ ips: [], hostPorts: [], mac: (ips) => `mac of ${ips.map(formatIp).join()}` },
    ...more,
  };
}

t.test("addresses come one after the other, and one that is free again comes last", async (t) => {
  const leases = new Leases(newFile(), FS);
  const take = async (id: string) => (await leases.take(wanted(id), [V4], [])).ips[0];
  t.equal(await take("a"), "10.244.1.2", "not the network's, not the gateway's");
  t.equal(await take("b"), "10.244.1.3");
  await leases.release(wanted("a"));
  t.equal(await take("c"), "10.244.1.4");
  t.equal(await take("d"), "10.244.1.5");
  t.equal(await take("e"), "10.244.1.6", "not the broadcast address behind it");
  t.equal(await take("f"), "10.244.1.2", "round again");
  t.equal(leases.free(V4, []), 0);
  await t.rejects(leases.take(wanted("g"), [V4], []), {
    number: 101,
    message: "10.244.1.0/29: all 5 addresses are taken: remove pods, or give the node a larger range",
  });
  await leases.release(wanted("d"));
  t.equal(leases.free(V4, [ip("10.244.1.5"), ip("10.9.9.9")]), 0, "others have it");
  await t.rejects(leases.take(wanted("g"), [V4], [ip("10.244.1.5")]), { number: 101, message: /taken/ });
  t.equal(await take("g"), "10.244.1.5");
});

t.test("both families, and what was asked for", async (t) => {
  const leases = new Leases(newFile(), FS);
  const take = (id: string, ips: string[]) => leases.take(wanted(id, { ips: ips.map(ip) }), [V4, V6], []);
  t.same((await take("a", [])).ips, ["10.244.1.2", "fd00:10:244:1::2"]);
  t.same((await take("b", ["10.244.1.3"])).ips, ["10.244.1.3", "fd00:10:244:1::3"]);
  t.same(
    (await take("c", [])).ips,
    ["10.244.1.4", "fd00:10:244:1::4"],
    "an address that was asked for is stepped over",
  );
  const refused: [string[], number, RegExp][] = [
    [["10.244.1.3"], 100, /^ips: 10\.244\.1\.3 is taken: ask for another$/],
    [["10.244.1.0"], 7, /is the network's own address/],
    [["10.244.1.1"], 7, /is the gateway's/],
    [["10.244.1.7"], 7, /is the broadcast address/],
    [["10.244.2.5"], 7, /is not in the node's range, 10\.244\.1\.0\/29: ask/],
    [["10.244.1.5", "10.244.1.6"], 7, /a second one of its family/],
  ];
  for (const [ips, number, message] of refused) await t.rejects(take("x", ips), { number, message });
  await t.rejects(leases.take(wanted("x", { ips: [ip("fd00::9")] }), [V4], []), {
    number: 7,
    message: /no range of/,
  });
  await t.rejects(
    take("a", []),
    { number: 102, message: /already/ },
    "a container's interface has its addresses once",
  );
  await t.rejects(
    leases.take(wanted("x", { mac: () => "mac of 10.244.1.2,fd00:10:244:1::2" }), [V4, V6], []),
    {
      number: 100,
      message: /container a has it/,
    },
  );
  t.same((await leases.take(wanted("a", { network: "other" }), [V4], [])).ips, ["10.244.1.6"]);
});

t.test("in a range of 2^64 addresses none of millions is walked", async (t) => {
  const leases = new Leases(newFile(), FS);
  t.same((await leases.take(wanted("a", { ips: [ip("fd00:10:244:1::7fff:fffe")] }), [V6], [])).ips.length, 1);
  t.same((await leases.take(wanted("b"), [V6], [])).ips, ["fd00:10:244:1::2"]);
});

t.test("calls beside each other never get one address, and what was answered is on the disk", async (t) => {
  const file = newFile();
  const seed = Date.now() & 0xffff;
  t.comment(`seed ${seed}`);
  const random = new Prng(seed);
  const leases = new Leases(file, FS);
  const range = cidr("10.244.1.0/26");
  const held = new Map<string, Lease>();
  const work: Promise<void>[] = [];
  for (let i = 0; i < 90; i++) {
    const id = `c${random.below(60)}`;
    const name = wanted(id);
    if (held.has(id)) {
      const lease = held.get(id) as Lease;
      held.delete(id);
      work.push(leases.release(lease));
    } else if (leases.get(name) === undefined) {
      work.push(
        leases.take(name, [range, V6], []).then(
          (lease) => {
            held.set(id, lease);
            const all = [...held.values()].flatMap(({ ips }) => ips);
            t.equal(new Set(all).size, all.length, "each address once");
            const kept = JSON.parse(readFileSync(file, "utf8")) as { leases: Lease[] };
            if (!kept.leases.some(({ containerId }) => containerId === id))
              t.fail(`${id} is not on the disk`);
          },
          (error: { number: number }) => {
            if (![101, 102].includes(error.number)) throw error; // full, or not given back to its end
          },
        ),
      );
    }
    if (random.below(3) === 0) await Promise.resolve();
    if (random.below(6) === 0) await Promise.all(work.splice(0));
  }
  await Promise.all(work);
  t.same(
    new Leases(file, FS)
      .list()
      .map(({ containerId, ips }) => `${containerId} ${ips}`)
      .sort(),
    [...held.values()].map(({ containerId, ips }) => `${containerId} ${ips}`).sort(),
  );
});

/** Fails at the n-th thing that it is asked, and at all after that: what a crash leaves is what was done before. */
function failing(n: number): { fs: FileSystem; asked: () => number } {
  let count = 0;
  const step = (): void => {
    if (++count >= n) throw new Error("power lost");
  };
  const fs: FileSystem = {
    mkdir: async (...args) => {
      step();
      return mkdir(...args);
    },
    rename: async (...args) => {
      step();
      return rename(...args);
    },
    open: async (...args) => {
      step();
      const file = await open(...args);
      return {
        writeFile: async (data) => {
          if (count + 1 >= n) await file.writeFile(String(data).slice(0, 40)); // torn
          step();
          return file.writeFile(data);
        },
        sync: async () => {
          step();
          return file.sync();
        },
        close: () => file.close(),
      };
    },
  };
  return { fs, asked: () => count };
}

t.test("a crash at any point of any write leaves the leases before it or after it", async (t) => {
  for (let n = 1; ; n++) {
    const file = newFile();
    const before = new Leases(file, FS);
    await before.take(wanted("old"), [V4], []);
    const { fs, asked } = failing(n);
    const leases = new Leases(file, fs);
    const done: string[] = [];
    const attempt = async (name: string, work: Promise<unknown>): Promise<void> => {
      await work.then(() => done.push(name)).catch((error: { number: number }) => t.equal(error.number, 5));
    };
    await attempt("take", leases.take(wanted("new"), [V4], []));
    await attempt("release", leases.release(wanted("old")));
    const after = new Leases(file, FS).list().map(({ containerId }) => containerId);
    if (done.includes("take")) t.ok(after.includes("new"), `${n}: what was given is known`);
    if (done.includes("release")) t.notOk(after.includes("old"), `${n}: what was given back is free`);
    else t.ok(leases.get(wanted("old")), `${n}: what could not be given back is held`);
    if (!done.includes("take"))
      t.equal(leases.get(wanted("new")), undefined, `${n}: what was not given is not held`);
    if (done.length === 2) return t.ok(n > asked() && n > 10, `${asked()} steps`);
  }
});

t.test("a file that cannot be used is told, and nothing is given away beside it", async (t) => {
  const cases: [string, RegExp][] = [
    [
      "{",
      /leases\.json: .*JSON.*: no address is given away until it is mended or, with no pods running, removed$/,
    ],
    ['{"format":"else"}', /holds no leases of podwire/],
    ['{"format":"podwire leases","version":2}', /is of version 2, this podwire reads 1/],
    ['{"format":"podwire leases","version":1,"leases":[{"containerId":"x","ips":["y"]}]}', /the lease of x/],
    ['{"format":"podwire leases","version":1,"leases":[null]}', /the lease of 0 is not whole/],
    ['{"format":"podwire leases","version":1,"leases":{}}', /holds no leases of podwire/],
    ['{"format":"podwire leases","version":1,"last":null}', /holds no leases of podwire/],
    [
      `{"format":"podwire leases","version":1,"leases":[{"network":"podwire","containerId":"c1","ifname":"eth0",
        "netns":"/run/netns/c1","pod":null,"ips":["10.244.1.2"],"mac":"0a:58:0a:f4:01:02","isComplete":true}]}`,
      /the lease of c1 is not whole/, // hostPorts
    ],
  ];
  for (const [text, message] of cases) {
    const file = join(folder, "leases.json");
    writeFileSync(file, text);
    t.throws(() => new Leases(file, FS), { number: 5, message });
  }
});
