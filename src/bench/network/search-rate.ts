// The highest rate at which nothing is lost (RFC 2544 §26.1), by halving. A trial on a shared machine may fail for
// reasons of the machine's own: a rate counts as good when one of two trials is.

const ATTEMPTS = 2;

/** isFree: one trial. most: a rate that may be too high, tried first. Bounded: at most 2 × (steps + 1) trials. */
export async function searchRate(
  most: number,
  steps: number,
  isFree: (rate: number) => Promise<boolean>,
): Promise<number> {
  const isGood = async (rate: number) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) if (await isFree(rate)) return true;
    return false;
  };
  if (await isGood(most)) return most;
  let [good, bad] = [0, most];
  for (let step = 0; step < steps; step++) {
    const middle = (good + bad) / 2;
    if (await isGood(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
