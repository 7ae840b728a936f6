// Every scheduler against a second implementation of what the kernel's module of that name does, written down here with
// lists, objects and BigInt: distributions, ties, weights of zero, changes of the set in between.

import fc from "fast-check";
import t from "tap";
import { setOf } from "../../change/service-sets.ts";
import * as serviceChange from "../../change/services.ts";
import {
  Action,
  FrontendKind,
  type FrontendSpec,
  SCHEDULER_NAMES,
  Scheduler,
  type ServicePortSpec,
} from "../../spec/services.ts";
import * as schedule from "./schedule.ts";
import * as services from "./services.ts";
import { Services } from "./services.ts";

const TCP4 = (4 << 8) | 6;
const TCP6 = (6 << 8) | 6;

/** A real server as a virtual server knows it. */
interface Server {
  readonly n: number;
  readonly weight: number;
  active: number;
  inactive: number;
}

interface Client {
  readonly source: number;
  readonly port: number;
}

/** A virtual server in the kernel's words; `servers` in the order in which they are asked. */
class VirtualServer {
  readonly kind: string;
  servers: Server[] = [];
  #last: Server | undefined;
  #cw = 0;
  #mw = 0;
  #di = 1;

  constructor(kind: string) {
    this.kind = kind;
  }

  change(servers: Server[]): void {
    const before = this.servers;
    const isChanged = JSON.stringify(before.map(identity)) !== JSON.stringify(servers.map(identity));
    this.servers = servers;
    if (this.kind === "rr") {
      let i = this.#last === undefined ? -1 : before.indexOf(this.#last);
      const stays = (s: Server): Server | undefined => servers.find(({ n }) => n === s.n);
      while (i >= 0 && stays(before[i]) === undefined) i--;
      this.#last = i < 0 ? undefined : stays(before[i]);
    }
    if (this.kind !== "wrr") return;
    this.#last = isChanged ? undefined : servers.find(({ n }) => n === this.#last?.n);
    if (!isChanged) return;
    this.#di = servers.map(({ weight }) => weight).reduce(gcd, 0) || 1;
    this.#mw = Math.max(0, ...servers.map(({ weight }) => weight)) - (this.#di - 1);
    if (this.#cw > this.#mw || this.#cw === 0) this.#cw = this.#mw;
    else if (this.#di > 1) this.#cw = Math.floor(this.#cw / this.#di) * this.#di + 1;
  }

  pick(client: Client, vip: number): Server | undefined {
    const { servers } = this;
    const usable = servers.filter(({ weight }) => weight > 0);
    const overhead = (s: Server): number => s.active * 256 + s.inactive;
    switch (this.kind) {
      case "rr": {
        const at = this.#last === undefined ? -1 : servers.indexOf(this.#last);
        const round = [...servers.slice(at + 1), ...servers.slice(0, at + 1)];
        const next = round.find(({ weight }) => weight > 0);
        if (next !== undefined) this.#last = next;
        return next;
      }
      case "wrr":
        return this.#weighted();
      case "lc":
        return first(usable, (a, b) => overhead(b) < overhead(a));
      case "wlc":
        return first(usable, (a, b) => overhead(a) * b.weight > overhead(b) * a.weight);
      case "sed":
        return first(usable, (a, b) => (a.active + 1) * b.weight > (b.active + 1) * a.weight);
      case "nq":
        return (
          usable.find(({ active }) => active === 0) ??
          first(usable, (a, b) => (a.active + 1) * b.weight > (b.active + 1) * a.weight)
        );
      case "sh":
        return alive(sourceTable(servers)[hash32(BigInt(client.source >>> 0))]);
      case "dh":
        return alive(servers[hash32(BigInt(vip >>> 0)) % servers.length]);
      default: {
        const value = (BigInt(client.source >>> 0) + BigInt(client.port)) & 0xffffffffn;
        return alive(maglev(servers)[Number(sip(value, KEY_1) % 4093n)]);
      }
    }
  }

  #weighted(): Server | undefined {
    if (this.#mw === 0) return undefined;
    let at = this.#last === undefined ? -1 : this.servers.indexOf(this.#last);
    for (;;) {
      const next = this.servers.find((s, i) => i > at && s.weight >= this.#cw);
      if (next !== undefined) {
        this.#last = next;
        return next;
      }
      at = -1;
      this.#cw -= this.#di;
      if (this.#cw <= 0) this.#cw = this.#mw;
    }
  }
}

const identity = ({ n, weight }: Server): string => `${n}/${weight}`;
const alive = (s: Server | undefined): Server | undefined =>
  s !== undefined && s.weight > 0 ? s : undefined;
const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** The first one, or whoever later beats the best so far. */
function first(list: Server[], beats: (best: Server, other: Server) => boolean): Server | undefined {
  let best = list[0];
  for (const other of list) if (beats(best, other)) best = other;
  return best;
}

function hash32(value: bigint): number {
  return Number(((value * 0x61c88647n) & 0xffffffffn) >> 24n);
}

function sourceTable(servers: Server[]): Server[] {
  const table: Server[] = [];
  while (table.length < 256) {
    for (const s of servers)
      for (let i = 0; i < Math.max(1, s.weight) && table.length < 256; i++) table.push(s);
  }
  return table;
}

const KEY_1 = 2654435761n;
const KEY_2 = 2654446892n;
const M64 = (1n << 64n) - 1n;
const rol = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (64n - n))) & M64;

/** SipHash-1-3 of four bytes under a key of two equal words, the low 32 bits. */
function sip(value: bigint, key: bigint): bigint {
  let [a, b, c, d] = [
    0x736f6d6570736575n ^ key,
    0x646f72616e646f6dn ^ key,
    0x6c7967656e657261n ^ key,
    0x7465646279746573n ^ key,
  ];
  const round = (): void => {
    a = (a + b) & M64;
    b = rol(b, 13n) ^ a;
    a = rol(a, 32n);
    c = (c + d) & M64;
    d = rol(d, 16n) ^ c;
    a = (a + d) & M64;
    d = rol(d, 21n) ^ a;
    c = (c + b) & M64;
    b = rol(b, 17n) ^ c;
    c = rol(c, 32n);
  };
  const block = (4n << 56n) | value;
  d ^= block;
  round();
  a ^= block;
  c ^= 0xffn;
  round();
  round();
  round();
  return (a ^ b ^ c ^ d) & 0xffffffffn;
}

function maglev(servers: Server[]): (Server | undefined)[] {
  const common = servers.map(({ weight }) => weight).reduce(gcd, 0);
  const table: (Server | undefined)[] = Array(4093).fill(undefined);
  if (common === 0) return table;
  const most = Math.max(...servers.map(({ weight }) => weight)) / common;
  const shift = Math.max(0, Math.floor(most).toString(2).length - 6);
  const rows = servers.map((s) => {
    const value = (BigInt(address(s.n) >>> 0) + 8080n) & 0xffffffffn;
    const turns = Math.floor(s.weight / common / 2 ** shift) || (s.weight > 0 ? 1 : 0);
    return {
      s,
      turns,
      place: Number(sip(value, KEY_1) % 4093n),
      skip: Number(sip(value, KEY_2) % 4092n) + 1,
    };
  });
  for (let left = 4093; left > 0; ) {
    for (const row of rows) {
      for (let turn = 0; turn < row.turns && left > 0; turn++, left--) {
        while (table[row.place] !== undefined) row.place = (row.place + row.skip) % 4093;
        table[row.place] = row.s;
      }
    }
  }
  return table;
}

const address = (n: number): number => (10 << 24) | (244 << 16) | n;

function spec(kind: string, servers: readonly Server[], shared = false): ServicePortSpec {
  const each = { action: Action.DNAT, set: 0, masquerade: false };
  const at = (w3: number): FrontendSpec => ({
    kind: FrontendKind.CLUSTER_IP,
    ...{ w0: 0, w1: 0, w2: 0xffff, w3, family: 4, port: 80 },
    sourceRanges: null,
    byClass: [each, each, each],
  });
  return {
    ...{ id: 1, name: "default/web", protocol: 6, affinitySec: 0 },
    scheduler: SCHEDULER_NAMES.indexOf(kind),
    sharedSchedule: shared,
    endpoints: servers.map(({ n, weight }) => ({
      ...{ w0: 0, w1: 0, w2: 0xffff, w3: address(n), port: 8080, flags: 6 },
      weight,
    })),
    sets: [servers.map((_, i) => i)],
    frontends: [at(VIP), at(VIP + 1)],
  };
}
const VIP = (10 << 24) | (96 << 16) | 7;
const find = (table: Services, vip: number): number => services.find(table, 0, 0, 0xffff, vip, 80, TCP4);

/** n of the endpoint chosen, -1: none. */
function choose(table: Services, vip: number, client: Client): number {
  const key = Int32Array.of(0, 0, 0xffff, client.source, 0, 0, 0xffff, vip, (client.port << 16) | 80, TCP4);
  const endpoint = services.choose(table, find(table, vip), 0, key, 0);
  return endpoint < 0 ? -1 : table.epAddr[endpoint * 4 + 3] & 0xffff;
}

function slotOf(table: Services, n: number): number {
  const set = setOf(table, find(table, VIP), 0);
  return set.find((slot) => table.epAddr[slot * 4 + 3] === address(n)) as number;
}

const servers = fc
  .uniqueArray(
    fc.tuple(fc.integer({ min: 1, max: 9 }), fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constant(4000))),
    {
      selector: ([n]) => n,
      maxLength: 6,
    },
  )
  .map((list) =>
    list.sort((a, b) => a[0] - b[0]).map(([n, weight]) => ({ n, weight, active: 0, inactive: 0 })),
  );
const step = fc.record({
  source: fc.integer(),
  port: fc.integer({ min: 1, max: 65535 }),
  /** What happens to the chosen server's counts, and whether the set changes first. */
  load: fc.constantFrom("active", "inactive", "none"),
  change: fc.option(servers, { freq: 8 }),
});

for (const kind of SCHEDULER_NAMES.slice(1)) {
  t.test(`${kind} chooses as a second implementation of the kernel's module does`, async () => {
    fc.assert(
      fc.property(servers, fc.array(step, { maxLength: 60 }), (start, steps) => {
        const table = new Services(4, 6);
        const model = new VirtualServer(kind);
        const load = (n: number): Server => {
          const slot = slotOf(table, n);
          const { active, inactive } = table.schedule.load;
          return { n, weight: table.schedule.weight[slot], active: active[slot], inactive: inactive[slot] };
        };
        const change = (list: Server[]): void => {
          serviceChange.update(table, { upsert: [spec(kind, list)], remove: [] });
          model.change(list.map(({ n }) => load(n)));
        };
        change(start);
        for (const s of steps) {
          if (s.change !== null) change(s.change);
          const want = model.servers.length === 0 ? undefined : model.pick(s, VIP);
          const got = choose(table, VIP, s);
          if (got !== (want?.n ?? -1)) return false;
          if (want === undefined || s.load === "none") continue;
          want[s.load]++;
          table.schedule.load[s.load][slotOf(table, got)]++;
        }
        return true;
      }),
      { numRuns: kind === "mh" ? 50 : 300 }, // a Maglev table takes its time
    );
  });
}

const three = [1, 2, 3].map((n) => ({ n, weight: n, active: 0, inactive: 0 }));
const CLIENT: Client = { source: address(999), port: 40000 };

t.test(
  "rr takes turns, each address of a service on its own unless the service port shares them",
  async (t) => {
    const table = new Services(4, 6);
    const vips = [VIP, VIP, VIP + 1, VIP, VIP + 1];
    const order = (): number[] => vips.map((vip) => choose(table, vip, CLIENT));
    serviceChange.update(table, { upsert: [spec("rr", three)], remove: [] });
    t.same(order(), [1, 2, 1, 3, 2]);
    serviceChange.update(table, { upsert: [spec("rr", three, true)], remove: [] });
    serviceChange.update(table, { upsert: [], remove: [1] });
    serviceChange.update(table, { upsert: [spec("rr", three, true)], remove: [] });
    t.same(order(), [1, 2, 3, 1, 2]);
  },
);

t.test("wrr gives turns by weight, spread over the round", async (t) => {
  const table = new Services(4, 6);
  serviceChange.update(table, { upsert: [spec("wrr", three)], remove: [] });
  const round = Array.from({ length: 6 }, () => choose(table, VIP, CLIENT));
  t.same(round, [3, 2, 3, 1, 2, 3]);
});

t.test("sh and mh keep a client at its endpoint; mh moves few of them when one goes", async (t) => {
  const equal = Array.from({ length: 5 }, (_, i) => ({ n: i + 1, weight: 1, active: 0, inactive: 0 }));
  for (const kind of ["sh", "mh"]) {
    const table = new Services(4, 6);
    const clients = Array.from({ length: 2000 }, (_, i) => ({
      source: address(1000 + i * 7),
      port: 1000 + i,
    }));
    const answers = (): number[] => clients.map((client) => choose(table, VIP, client));
    serviceChange.update(table, { upsert: [spec(kind, equal)], remove: [] });
    const before = answers();
    t.same(answers(), before);
    for (let n = 1; n <= 5; n++) {
      const share = before.filter((got) => got === n).length / clients.length;
      t.ok(share > 0.12 && share < 0.28, `${kind}: endpoint ${n} has ${share}`);
    }
    serviceChange.update(table, {
      upsert: [
        spec(
          kind,
          equal.filter(({ n }) => n !== 3),
        ),
      ],
      remove: [],
    });
    const moved = answers().filter((got, i) => before[i] !== 3 && got !== before[i]).length;
    if (kind === "mh")
      t.ok(moved < clients.length * 0.1, `${moved} clients moved though their endpoint stayed`);
  }
});

t.test("IPv6 addresses are folded into one word", async (t) => {
  const table = new Services(4, 6);
  const base = spec("sh", three);
  const v6 = (n: number) => ({ w0: 0xfd00 << 16, w1: 1, w2: 2, w3: n });
  const update = {
    ...base,
    endpoints: base.endpoints.map((e, i) => ({ ...e, ...v6(i) })),
    frontends: [{ ...base.frontends[0], ...v6(99), family: 6 as const }],
  };
  serviceChange.update(table, { upsert: [update], remove: [] });
  const f = services.find(table, 0xfd00 << 16, 1, 2, 99, 80, TCP6);
  for (let n = 0; n < 50; n++) {
    const words = [0x20010db8, n, n * 3, n * 5];
    const key = Int32Array.of(...words, 0xfd00 << 16, 1, 2, 99, (5 << 16) | 80, TCP6);
    const folded = words.reduce((a, b) => a ^ b, 0) >>> 0;
    const want = sourceTable(three)[hash32(BigInt(folded))].n;
    t.equal((table.epAddr[services.choose(table, f, 0, key, 0) * 4 + 3] & 0xffff) + 1, want);
  }
});

t.test("hsiphash is the kernel's of 64 bits", async () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(KEY_1, KEY_2), (value, key) => {
      return BigInt(schedule.hsiphash(value, Number(key) | 0) >>> 0) === sip(BigInt(value >>> 0), key);
    }),
  );
});

t.test("Maglev tables are given back, and one that has not changed is kept", async (t) => {
  const table = new Services(4, 6);
  const update = (list: Server[]): void =>
    serviceChange.update(table, { upsert: [spec("mh", list)], remove: [] });
  const at = (): number => table.schedule.maglevAt[find(table, VIP)];
  update(three);
  const first = at();
  update(three);
  t.equal(at(), first);
  for (let i = 0; i < 10; i++) update(three.slice(0, 1 + (i % 3)));
  t.ok(table.schedule.maglevNext <= 2, `${table.schedule.maglevNext} tables taken`);
  serviceChange.update(table, { upsert: [], remove: [1] });
  t.equal(table.schedule.maglevFree.length, table.schedule.maglevNext);
});

t.test("without a scheduler it is chance, and weights are not asked for", async (t) => {
  const table = new Services(4, 6);
  const update = {
    ...spec(
      "rr",
      three.map((s) => ({ ...s, weight: 0 })),
    ),
    scheduler: Scheduler.RANDOM,
  };
  serviceChange.update(table, { upsert: [update], remove: [] });
  t.not(choose(table, VIP, CLIENT), -1);
});
