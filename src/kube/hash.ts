// Hashes for names and for places in a range: stable over runs and machines, nothing cryptographic about them.

/** FNV-1a over UTF-16 units, finished with murmur3's mixer so that short texts spread over all bits. Unsigned. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

// Kubernetes' alphabet for generated names: no vowels and nothing that looks alike, so that no word appears.
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** A suffix like those of pods and EndpointSlices, made from `text` instead of chance. */
export function nameSuffix(text: string, length = 5): string {
  let out = "";
  for (let i = 0; out.length < length; i++) {
    let rest = hash32(`${text}#${i}`);
    for (let n = 0; n < 6 && out.length < length; n++) {
      out += ALPHABET[rest % ALPHABET.length];
      rest = Math.floor(rest / ALPHABET.length);
    }
  }
  return out;
}
