import fc from "fast-check";
import t from "tap";
import type { EchoAnswer } from "./icmp-prober.ts";
import { findPathMtu } from "./path-mtu.ts";

/** A path that carries `mtu` bytes, and says so or keeps silent. */
function path(mtu: number, isSilent: boolean) {
  let probes = 0;
  const probe = async (bytes: number): Promise<EchoAnswer> => {
    probes++;
    if (bytes <= mtu) return { kind: "reply", sequence: probes, from: "10.0.0.2" };
    if (isSilent) return { kind: "timeout", sequence: probes };
    return { kind: "too-big", sequence: probes, from: "10.0.0.1", mtu };
  };
  return { probe, probes: () => probes };
}

t.test("every path MTU is found, whether or not routers speak", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 576, max: 65_535 }), fc.boolean(), async (mtu, isSilent) => {
      return (await findPathMtu(path(mtu, isSilent).probe, () => {})) === mtu;
    }),
  );
});

t.test("the usual cases take few probes", async (t) => {
  for (const [mtu, most] of [
    [1450, 4],
    [1500, 4],
    [1476, 4],
  ]) {
    const { probe, probes } = path(mtu, false);
    t.equal(await findPathMtu(probe, () => {}), mtu);
    t.ok(probes() <= most, `${mtu}: ${probes()} probes`);
  }
});

t.test("who does not answer at all has no path MTU", async (t) => {
  const { probe, probes } = path(100, true);
  t.equal(await findPathMtu(probe, () => {}), undefined);
  t.equal(probes(), 2);
});
