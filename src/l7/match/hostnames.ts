// Hostnames of listeners and routes: which hosts both are for. "*.example.com" is every name below example.com, however
// many labels; "" is every host.

export function isHostIn(host: string, hostname: string): boolean {
  if (hostname === "") return true;
  return hostname.startsWith("*.")
    ? host.endsWith(hostname.slice(1)) && host.length > hostname.length - 1
    : host === hostname;
}

/** Is there a host that is in both? */
export function intersect(a: string, b: string): boolean {
  if (a === "" || b === "") return true;
  const [isWildA, isWildB] = [a, b].map((each) => each.startsWith("*."));
  if (isWildA && isWildB) return a.endsWith(b.slice(1)) || b.endsWith(a.slice(1));
  return isWildA ? isHostIn(b, a) : isWildB ? isHostIn(a, b) : a === b;
}
