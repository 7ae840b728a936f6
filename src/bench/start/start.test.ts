import t from "tap";
import { brokenStart, firstAnswer, formatStart, type StartFigure } from "./start.ts";

const figure = (medianMs: number): StartFigure => ({
  what: "lab up",
  medianMs,
  longestMs: 1900,
  promisedMs: 1500,
});

t.test("the median is held to the promise, not the longest", async (t) => {
  t.same(brokenStart([figure(1499)]), []);
  t.same(brokenStart([figure(1501)]), ["start lab up, ms: 1501, promised 1500"]);
  t.equal(formatStart([figure(1499)]), "START   MEDIAN  LONGEST\nlab up    1499     1900");
});

t.test("the first answer after the start counts, not one of the agent before, nor an error", async (t) => {
  const text =
    "PING 10.244.1.3 (10.244.1.3) 56(84) bytes of data.\n" +
    "[1700000000.100000] 64 bytes from 10.244.1.3: icmp_seq=1 ttl=64 time=0.1 ms\n" +
    "[1700000000.250000] From 10.244.1.2 icmp_seq=90 Destination Host Unreachable\n" +
    "[1700000000.500250] 64 bytes from 10.244.1.3: icmp_seq=200 ttl=64 time=0.1 ms\n" +
    "[1700000000.502000] 64 bytes from 10.244.1.3: icmp_seq=201 ttl=64 time=0.1 ms\n";
  t.equal(firstAnswer(text, 1_700_000_000_200), 1_700_000_000_500.25);
  t.equal(firstAnswer(text, 1_700_000_000_600), undefined);
});
