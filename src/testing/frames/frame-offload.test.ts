import fc from "fast-check";
import t from "tap";
import * as arbitrary from "./arbitrary.ts";
import { patched, toHex } from "./bytes.ts";
import * as build from "./frame-builder.ts";
import { checkFrame } from "./frame-checker.ts";
import { withChecksums, withPartialChecksum } from "./frame-offload.ts";

const v4 = { src: "10.244.1.2", dst: "10.96.0.1" };
const v6 = { src: "fd00::2", dst: "fd00::3" };

t.test("checksums that were destroyed are made again, for every protocol", async () => {
  const addresses = fc.uint8Array({ minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(arbitrary.plainFrame, addresses, (frame, other) => {
      const at = frame[12] === 8 && frame[13] === 0 ? 26 : 22; // no frame behind a tag is touched: it stays right
      const isIp = (frame[12] === 8 && frame[13] === 0) || frame[12] === 0x86;
      return checkFrame(withChecksums(isIp ? patched(frame, at, ...other) : frame)).length === 0;
    }),
  );
});

t.test("a frame without transport header is left as it is", async (t) => {
  const arp = build.arpFrame({ senderIp: "10.0.0.1", targetIp: "10.0.0.2" });
  t.equal(toHex(withChecksums(arp)), toHex(arp));
  t.equal(withPartialChecksum(arp), undefined);
  t.equal(withPartialChecksum(build.echoFrame(v4)), undefined);
});

const partials = [
  {
    name: "TCP",
    frame: build.tcpFrame({ ...v4, payload: 3000, mss: 1400 }),
    gso: 0,
    virtio: "01000000000022001000",
  },
  {
    name: "TCP superframe",
    frame: build.tcpFrame({ ...v4, payload: 3000 }),
    gso: 1400,
    virtio: "01013600780522001000",
  },
  {
    name: "TCP superframe over IPv6",
    frame: build.tcpFrame({ ...v6, payload: 3000 }),
    gso: 1400,
    virtio: "01044a00780536001000",
  },
  { name: "UDP", frame: build.udpFrame({ ...v4, payload: 9 }), gso: 0, virtio: "01000000000022000600" },
  {
    name: "UDP superframe",
    frame: build.udpFrame({ ...v4, payload: 3000 }),
    gso: 1000,
    virtio: "01052a00e80322000600",
  },
];
for (const c of partials) {
  t.test(`partial checksum and virtio-net header: ${c.name}`, async (t) => {
    const made = withPartialChecksum(c.frame, c.gso);
    t.equal(toHex(made?.virtio ?? new Uint8Array(0)), c.virtio);
    t.same(checkFrame(made?.frame ?? new Uint8Array(0), made), []);
  });
}
