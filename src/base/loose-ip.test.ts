// The right values are those of the API server: apimachinery's tests of legacy IP and CIDR fields.
import t from "tap";
import { formatCidr, formatIp } from "./ip.ts";
import { readCidr, readIp } from "./loose-ip.ts";

const addresses: [text: string, means: string | null][] = [
  ["10.96.11.12", "10.96.11.12"],
  ["10.96.011.012", "10.96.11.12"],
  ["010.000.000.005", "10.0.0.5"],
  ["0000000010.1.1.1", "10.1.1.1"],
  ["0.0.0.0", "0.0.0.0"],
  ["000.0.00.0", "0.0.0.0"],
  ["192.168.08.09", "192.168.8.9"],
  ["::ffff:192.12.2.2", "192.12.2.2"],
  ["::ffff:192.012.2.2", "192.12.2.2"],
  ["::FFFF:c00c:202", "192.12.2.2"],
  ["0:0:0:0:0:ffff:c00c:0202", "192.12.2.2"],
  ["2001:db8:0:0::2", "2001:db8::2"],
  ["FE80:0:0:0:0:0:0:0abc", "fe80::abc"],
  ["0001:002:03:4::", "1:2:3:4::"],
  ["00001::", "1::"],
  ["::", "::"],
  ["::ffff:0:0:1", "::ffff:0:0:1"],
  ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
  ["64:ff9b::192.000.2.01", "64:ff9b::c000:201"],
  ["", null],
  ["aaaaaaa", null],
  ["1.2.3.400", null],
  ["1.2.3.0400", null],
  ["-1.0.0.0", null],
  ["+1.0.0.0", null],
  ["10.1", null],
  ["0x10.0.0.1", null],
  ["2001:db8::10005", null],
  ["1234::abcd%eth0", null],
  ["1.2.3.4:80", null],
  ["[2001:db8::1]", null],
  ["1.2.3.0/24", null],
  [" 1.2.3.4", null],
  ["::ffff:1.2.3.400", null],
  ["1::ffff:1.2.3.4", "1::ffff:102:304"],
  ["::1:2.3.4.5.6", null],
];

t.test("an address is read as ParseIPSloppy reads it", async (t) => {
  for (const [text, means] of addresses) {
    const found = readIp(text);
    t.equal(found === null ? null : formatIp(found), means, text);
    if (found !== null) t.equal(found.family, means?.includes(":") ? 6 : 4, `family of ${text}`);
  }
});

const ranges: [text: string, means: string | null][] = [
  ["10.0.0.0/8", "10.0.0.0/8"],
  ["10.0.0.5/8", "10.0.0.0/8"],
  ["192.012.2.0/24", "192.12.2.0/24"],
  ["192.12.2.0/024", "192.12.2.0/24"],
  ["::ffff:192.12.2.0/120", "192.12.2.0/24"],
  ["::ffff:1.1.1.0/24", "::/24"],
  ["2001:db8::1/64", "2001:db8::/64"],
  ["2001:0DB8::/64", "2001:db8::/64"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["::/0", "::/0"],
  ["1.2.3.4", null],
  ["192.168.0.1/0/99", null],
  ["192.168.0.0/-16", null],
  ["192.168.0.0/+16", null],
  ["192.168.0.0/33", null],
  ["2001:db8::/129", null],
  ["192.168.0.0/", null],
  ["/8", null],
];

t.test("a CIDR is read as ParseCIDRSloppy reads it", async (t) => {
  for (const [text, means] of ranges) {
    const found = readCidr(text);
    t.equal(found === null ? null : formatCidr(found), means, text);
  }
});
