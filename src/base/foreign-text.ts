/** Characters of it that are shown. */
const SHOWN_MAX = 100;

/** What somebody else wrote, as part of a line: without line ends and control characters, and not all of a long one. */
export function shown(text: string, most = SHOWN_MAX): string {
  const line = text.slice(0, 2 * most).replace(/[\p{C}\s]+/gu, " ");
  return line.length <= most ? line : `${line.slice(0, most)}…`;
}
