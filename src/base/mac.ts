// MAC addresses as text. In numbers a MAC is `hi` (bytes 0–1, u16) and `lo` (bytes 2–5, i32). Cold.

export interface Mac {
  readonly hi: number;
  readonly lo: number;
}

/** "0a:58:0a:f4:01:02" → hi, lo; undefined when the text is not six hexadecimal bytes between colons. */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  const bytes = text.split(":").map((byte) => Number.parseInt(byte, 16));
  const [a, b, c, d, e, f] = bytes;
  return { hi: (a << 8) | b, lo: (c << 24) | (d << 16) | (e << 8) | f };
}

/** Lower case, as `ip link` prints it. */
export function formatMac(hi: number, lo: number): string {
  const bytes = [hi >>> 8, hi & 0xff, lo >>> 24, (lo >>> 16) & 0xff, (lo >>> 8) & 0xff, lo & 0xff];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
