// Blocks of PEM (RFC 7468) in a text, as Go's encoding/pem reads them: what is between them is nobody's, and so is a
// block that does not end as it began, or holds anything but base64.

export interface Block {
  readonly type: string;
  readonly hasHeaders: boolean;
  readonly bytes: Uint8Array;
}

/** Characters: a request for a key of 16384 bits has 6000. */
const TEXT_MAX = 65_536;
const BLOCK =
  /(?<=^|\n)-----BEGIN ([^\n]*?)-----[ \t]*\r?\n((?:(?!-----)[\s\S])*)-----END \1-----[ \t]*(?=\r?\n|$)/g;
const HEADER = /^[^:\n]*:[^\n]*\n/;

/** `base64`: of the text, as the API has it. */
export function blocksOf(base64: string): Block[] {
  const text = textOf(base64);
  const blocks: Block[] = [];
  for (const [, type, body] of text.matchAll(BLOCK)) {
    let rest = body;
    for (let header = HEADER.exec(rest); header !== null; header = HEADER.exec(rest))
      rest = rest.slice(header[0].length);
    const bytes = bytesOf(rest);
    if (bytes !== undefined) blocks.push({ type, hasHeaders: rest !== body, bytes });
  }
  return blocks;
}

function textOf(base64: string): string {
  const bytes = bytesOf(base64);
  return bytes === undefined ? "" : String.fromCharCode(...bytes.subarray(0, TEXT_MAX));
}

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(base64.replaceAll(/\s/g, "")), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
}
