// IPv4 options through a kernel router and through podwire: what is recorded, where it comes out, which pointer a
// "parameter problem" has.
import t from "tap";
import * as build from "../../src/testing/frames/frame-builder.ts";
import { OPTION_CASES, optionBytes, optionsText } from "../../src/testing/frames/option-cases.ts";
import { PlaneSide } from "../../src/testing/judge/plane.ts";
import { talkScenario } from "../../src/testing/judge/talk-places.ts";
import { V4 } from "../../src/testing/judge/world.ts";
import { KernelRouter } from "../support/kernel-router.ts";
import { Namespaces } from "../support/namespaces.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const L3 = 14;
const OPTIONS = L3 + 20;
const DAY_MS = 86_400_000;

function hexOf(address: string): string {
  return Buffer.from(address.split(".").map(Number)).toString("hex");
}

t.test("IPv4 options: a kernel router and podwire record the same", { skip }, async (t) => {
  const namespaces = new Namespaces("pwt-options");
  t.teardown(() => namespaces.remove());
  const kernel = new KernelRouter(namespaces, "router", { world: V4, attach: "veth" });
  t.teardown(() => kernel.close());
  const plane = new PlaneSide(talkScenario(V4));
  plane.node.engine.epochMs = Date.now();
  const own = hexOf(V4.nodeIp);
  const ways = [
    { to: V4.pods[2], address: hexOf(V4.gateway) },
    { to: V4.outside(2), address: own },
  ];
  const cases = [...OPTION_CASES, { name: "a source route", hex: "83070400000000 00", want: "nothing" }];
  let id = 100;
  for (const { to, address } of ways) {
    for (const { name, hex, want } of cases) {
      const ipOptions = optionBytes(hex, own);
      const path = { src: V4.pods[0], dst: to, srcPort: 5000 + id, dstPort: 9000, id: ++id };
      const frames = () => [
        { where: `pod ${V4.pods[0]}`, frame: build.udpFrame({ ...path, ipOptions, payload: 30 }) },
      ];
      const texts = [kernel, plane].map((side) => {
        const out = side.inject(frames()).frames.get(id);
        if (out === undefined) return "nothing";
        const { frame } = out;
        if (typeof want === "number") {
          const l4 = L3 + (frame[L3] & 15) * 4;
          return `${out.where}: icmp ${frame[l4]}/${frame[l4 + 1]} pointer ${frame[l4 + 4]}`;
        }
        const options = frame.subarray(OPTIONS, OPTIONS + ipOptions.length);
        const dayMs = Date.now() % DAY_MS;
        return `${out.where}: ttl ${frame[L3 + 8]} ${optionsText(options, want, { own, address, back: hexOf(V4.gateway), dayMs })}`;
      });
      t.equal(texts[1], texts[0], `${name}, to ${to}`);
      const right = typeof want === "number" ? `icmp 12/0 pointer ${want}` : want;
      t.ok(texts[0].endsWith(right), `${name}, to ${to}: the kernel says ${texts[0]}`);
    }
  }
});
