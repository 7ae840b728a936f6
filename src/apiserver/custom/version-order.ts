// Versions of a group as clients are to prefer them.

const VERSION = /^v(\d+)(?:(alpha|beta)(\d+))?$/;

/** v2 before v1, v1 before v1beta1, and that before v1alpha1; whatever is none of these comes last, by its name. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [VERSION.exec(a), VERSION.exec(b)];
  if (left === null || right === null) {
    if (left !== null || right !== null) return left === null ? 1 : -1;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  const rank = (stage: string | undefined): number => (stage === undefined ? 2 : stage === "beta" ? 1 : 0);
  return (
    rank(right[2]) - rank(left[2]) ||
    Number(right[1]) - Number(left[1]) ||
    Number(right[3] ?? 0) - Number(left[3] ?? 0)
  );
}
