// Pages of metrics of several processes as one: what they count is added up; of what each sees alike the most.

const SAME = /^podwire_gateway_backend_(?:endpoints|ejected)\b/;

/** Samples stay in the order in which they come first, beneath the heads of their families. */
export function sumOfPages(pages: readonly string[]): string {
  const families = new Map<string, { readonly head: string[]; readonly samples: Map<string, number> }>();
  for (const page of pages) {
    let family = { head: [] as string[], samples: new Map<string, number>() };
    for (const line of page.split("\n")) {
      if (line === "") continue;
      const [, what, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (what === undefined) {
        const space = line.lastIndexOf(" ");
        const [key, value] = [line.slice(0, space), Number(line.slice(space + 1))];
        const before = family.samples.get(key) ?? 0;
        family.samples.set(key, SAME.test(key) ? Math.max(before, value) : before + value);
        continue;
      }
      const known = families.get(name);
      family = known ?? { head: [], samples: new Map() };
      families.set(name, family);
      if (!family.head.includes(line)) family.head.push(line);
    }
  }
  return [...families.values()]
    .flatMap(({ head, samples }) => [...head, ...[...samples].map(([key, value]) => `${key} ${value}`)])
    .map((line) => `${line}\n`)
    .join("");
}
