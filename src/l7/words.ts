// Words in which steps and reasons tell of shares and endpoints.

/** Of an answer's whole: 0.125 is "12.5 %". */
export function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}

const SHOWN = 4;

export function endpointsText(endpoints: readonly string[]): string {
  const more = endpoints.length > SHOWN ? ` and ${endpoints.length - SHOWN} more` : "";
  return `${endpoints.slice(0, SHOWN).join(", ")}${more}`;
}
