// Messages as text, read by dns-packet, which did not write them: "NOERROR aa" and a line a record.
import { type DecodedPacket, decode, encode, type Packet } from "dns-packet";
import { Flag } from "../../dns/query.ts";

/** A query's bytes. */
export function queryBytes(name: string, type: string, more: Partial<Packet> = {}): Buffer {
  return encode({
    ...{ type: "query", id: 7, flags: Flag.RD },
    questions: [{ type: type as "A", name, class: "IN" }],
    ...more,
  });
}

/** What dns-packet makes of a message: code and flags, answers, then other sections with their names in front. */
export function textOf(message: Buffer): string[] {
  const packet = decode(message) as DecodedPacket & { rcode: string };
  const flags = (["aa", "tc", "ra"] as const).filter((name) => packet[`flag_${name}`]);
  return [
    [packet.rcode, ...flags].join(" "),
    ...(packet.answers ?? []).map(recordText),
    ...(packet.authorities ?? []).map((each) => `authority ${recordText(each)}`),
    ...(packet.additionals ?? [])
      .filter(({ type }) => type !== "OPT")
      .map((each) => `additional ${recordText(each)}`),
  ];
}

function recordText(record: object): string {
  const { name, type, ttl, data } = record as { name: string; type: string; ttl: number; data: unknown };
  return `${name} ${ttl} ${type} ${dataText(type, data)}`;
}

function dataText(type: string, data: unknown): string {
  if (type === "TXT") return (data as Buffer[]).map((part) => JSON.stringify(part.toString())).join(" ");
  if (type === "SRV") {
    const { priority, weight, port, target } = data as Record<string, string | number>;
    return `${priority} ${weight} ${port} ${target}`;
  }
  if (type === "SOA") {
    const { mname, rname, minimum } = data as Record<string, string | number>;
    return `${mname} ${rname} ${minimum}`;
  }
  return String(data);
}
