// Every option of conntrack(8) is served or refused with a line of its own.
import { Command } from "commander";
import t from "tap";
import type { ConntrackEntry } from "../../observe/conntrack-entry.ts";
import { createConntrackFilter } from "../../observe/conntrack-filter.ts";
import { filterParameters, type Options, withAction, withFilters } from "./conntrack-options.ts";
import { readStats } from "./conntrack-stats.ts";

function parse(...words: string[]): [string, string][] {
  const command = withFilters(new Command("list"), { secmark: true }).exitOverride();
  let parameters: [string, string][] = [];
  command.action((options: Options) => {
    parameters = filterParameters(options);
  });
  command.parse(words, { from: "user" });
  return parameters;
}

/** As conntrack(8)'s manual lists them, with the parameter each becomes. */
const SERVED: [words: string, parameters: Record<string, string>][] = [
  ["-s 10.0.0.1", { src: "10.0.0.1" }],
  ["--src 10.0.0.1", { src: "10.0.0.1" }],
  ["--orig-src 10.0.0.1", { src: "10.0.0.1" }],
  ["-d 10.0.0.0/8", { dst: "10.0.0.0/8" }],
  ["--orig-dst 10.0.0.1", { dst: "10.0.0.1" }],
  ["-s 10.0.0.1 --mask-src 255.0.0.0", { src: "10.0.0.1", "mask-src": "255.0.0.0" }],
  ["-d 10.0.0.1 --mask-dst 255.0.0.0", { dst: "10.0.0.1", "mask-dst": "255.0.0.0" }],
  ["-r 10.0.0.1", { "reply-src": "10.0.0.1" }],
  ["-q 10.0.0.1", { "reply-dst": "10.0.0.1" }],
  ["-p tcp", { proto: "tcp" }],
  ["--proto tcp", { proto: "tcp" }],
  ["--protonum 17", { proto: "17" }],
  ["-f ipv6", { family: "ipv6" }],
  ["-m 1/1", { mark: "1/1" }],
  ["-c 0", { secmark: "0" }],
  ["-l a,b -l c", { label: "a,b,c" }],
  [
    "-u ASSURED,SEEN_REPLY,FIXED_TIMEOUT,EXPECTED,OFFLOAD",
    { status: "ASSURED,SEEN_REPLY,FIXED_TIMEOUT,EXPECTED,OFFLOAD" },
  ],
  ["-u UNSET", { status: "UNSET" }],
  ["-n", { "src-nat": "" }],
  ["--src-nat 10.0.0.1", { "src-nat": "10.0.0.1" }],
  ["-g 10.0.0.1", { "dst-nat": "10.0.0.1" }],
  ["-j", { "any-nat": "" }],
  ["-w 0", { zone: "0" }],
  ["--orig-zone 1", { "orig-zone": "1" }],
  ["--reply-zone 1", { "reply-zone": "1" }],
  ["-i 7", { id: "7" }],
  ["-p tcp --sport 1 --dport 2", { proto: "tcp", sport: "1", dport: "2" }],
  ["-p tcp --orig-port-src 1 --orig-port-dst 2", { proto: "tcp", sport: "1", dport: "2" }],
  [
    "-p udp --reply-port-src 1 --reply-port-dst 2",
    { proto: "udp", "reply-port-src": "1", "reply-port-dst": "2" },
  ],
  ["-p tcp --state SYN_SENT", { proto: "tcp", state: "SYN_SENT" }],
  ["-p sctp --state cookie_wait", { proto: "sctp", state: "cookie_wait" }],
  [
    "-p icmp --icmp-type 8 --icmp-code 0 --icmp-id 1",
    { proto: "icmp", "icmp-type": "8", "icmp-code": "0", "icmp-id": "1" },
  ],
  ["-p icmpv6 --icmpv6-type 128 --icmpv6-code 0", { proto: "icmpv6", "icmp-type": "128", "icmp-code": "0" }],
  ["-p gre --srckey 0x1 --dstkey 2", { proto: "gre", srckey: "0x1", dstkey: "2" }],
  ["-p gre --orig-key-src 1 --orig-key-dst 2", { proto: "gre", srckey: "1", dstkey: "2" }],
  [
    "-p gre --reply-key-src 1 --reply-key-dst 2",
    { proto: "gre", "reply-key-src": "1", "reply-key-dst": "2" },
  ],
];
/** Bases of numbers as conntrack(8) has them; native-test/command/conntrack-format.test.ts asks it. */
const NUMBERS: [words: string, key: "srcKey" | "zone" | "id" | "mark" | "proto" | "sport", value: number][] =
  [
    ["--srckey 16", "srcKey", 16],
    ["--srckey 0x16", "srcKey", 22],
    ["--srckey 020", "srcKey", 16],
    ["--srckey 0", "srcKey", 0],
    ["-w 0x10", "zone", 16],
    ["-w 010", "zone", 8],
    ["-i 0x10", "id", 16],
    ["-i 4294967295", "id", 4294967295],
    ["-m 0x10", "mark", 16],
    ["-m 020", "mark", 16],
    ["-m 16/0377", "mark", 16],
    ["-p 0x11", "proto", 17],
    ["-p 021", "proto", 17],
    ["--sport 010", "sport", 10],
  ];

t.test("numbers are decimal, hexadecimal or octal, ports decimal", async (t) => {
  for (const [words, key, value] of NUMBERS) {
    const entry = (wanted: number): ConntrackEntry => {
      const made = {
        family: "ipv4",
        proto: 6,
        mark: 0,
        id: 1,
        status: [],
        reply: { src: "1.1.1.1", dst: "1.1.1.2" },
      };
      const orig = { src: "1.1.1.2", dst: "1.1.1.1" };
      const inOrig = key === "srcKey" || key === "sport";
      return {
        ...made,
        orig,
        ...(inOrig ? { orig: { ...orig, [key]: wanted } } : { [key]: wanted }),
      } as ConntrackEntry;
    };
    const filter = createConntrackFilter(parse(...words.split(" ")));
    t.ok(filter(entry(value)), words);
    t.notOk(filter(entry(value + 1)), words);
  }
});

const REFUSED = [
  "-t 30",
  "-z",
  "-b 1000",
  "--tuple-src 10.0.0.1",
  "--tuple-dst 10.0.0.1",
  "--label-add x",
  "--label-del",
  "-p sctp --orig-vtag 1",
  "-p sctp --reply-vtag 1",
  "-p dccp --role client",
  "-p tcp --icmp-type 8",
  "-p icmp --dport 80",
  "-p udp --srckey 1",
  "--mask-src 255.0.0.0",
  "--mask-dst 255.0.0.0",
  "-s 10.0.0.1 --mask-src 24",
  "-s 10.0.0.1 --mask-src ff::",
  "-w x",
  "-w 65536",
  "-l ,",
  "-m x",
  "-c x",
  "-p gre --srckey x",
  "-p gre --srckey 0x10000",
  "-p gre --reply-key-src 08",
  "-w 08",
  "-m 0x100000000",
  "-m 1/2/3",
  "-i -1",
  "-p tcp --sport 0x50",
  "--state foo",
  "-u foo",
  "-s foo",
];

t.test("options that are served", async (t) => {
  for (const [words, wanted] of SERVED) {
    const parameters = parse(...words.split(" "));
    t.same(Object.fromEntries(parameters), wanted, words);
    t.doesNotThrow(() => createConntrackFilter(parameters), words);
  }
});

t.test("options that are refused, each with one line", async (t) => {
  for (const words of REFUSED) {
    t.throws(() => parse(...words.split(" ")), { message: /^[^\n]+$/, exitCode: 2 }, words);
  }
});

t.test("conntrack(8)'s actions", async (t) => {
  const cases: [string, string][] = [
    ["conntrack -L -p tcp", "conntrack list -p tcp"],
    ["--lab x conntrack -p tcp --dump", "--lab x conntrack list -p tcp"],
    ["conntrack -C", "conntrack count --total"],
    ["conntrack -D -s 10.0.0.1", "conntrack delete -s 10.0.0.1"],
    ["conntrack -E -e NEW", "conntrack events -e NEW"],
    ["conntrack -F", "conntrack flush"],
    ["conntrack -S", "conntrack stats"],
    ["conntrack events --count 3", "conntrack events --count 3"],
    ["conntrack -p tcp", "conntrack -p tcp"],
  ];
  for (const [words, wanted] of cases) t.equal(withAction(words.split(" ")).join(" "), wanted);
  for (const words of ["-I -p tcp", "-A", "-U -m 1", "-R file", "-G -p tcp", "-L -D"])
    t.throws(
      () => withAction(["conntrack", ...words.split(" ")]),
      { exitCode: 2, message: /^conntrack -/ },
      words,
    );
});

t.test("conntrack -S' lines", async (t) => {
  const [stats] = readStats(
    "n1",
    "cpu=1   \tfound=2 invalid=3 insert=0 insert_failed=4 drop=5 early_drop=6 error=7 \n",
  );
  t.match(stats, {
    node: "n1",
    cpu: 1,
    found: 2,
    invalid: 3,
    insert_failed: 4,
    early_drop: 6,
    chaintoolong: 0,
  });
});
