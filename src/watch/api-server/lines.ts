/** Lines of a stream that comes in chunks of bytes. A character may be cut by a chunk, a line feed cannot be. */
const LINE_FEED = 10;

export class Lines {
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** Bytes of the line that is not whole yet. */
  get pending(): number {
    return this.#bytes;
  }

  /** Calls `use` with each line that this chunk completes, without its line feed. */
  add(chunk: Uint8Array, use: (line: string) => void): void {
    let begin = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, begin)) {
      this.#parts.push(chunk.subarray(begin, end));
      const line = Buffer.concat(this.#parts).toString("utf8");
      this.#parts = [];
      this.#bytes = 0;
      begin = end + 1;
      use(line);
    }
    if (begin === chunk.length) return;
    this.#parts.push(chunk.subarray(begin));
    this.#bytes += chunk.length - begin;
  }
}
