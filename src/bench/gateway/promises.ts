// What is promised of the gateway, and the figures as lines.
import { type Figure, ROUTES } from "./cases.ts";

/** One sentence for each promise that these figures break. */
export function brokenPromises(figures: readonly Figure[]): string[] {
  const broken: string[] = [];
  const hold = (name: string, isKept: (figure: Figure) => boolean, promise: string): void => {
    for (const figure of figures)
      if (`${figure.case} ${figure.what}`.startsWith(name) && !isKept(figure))
        broken.push(`${figure.what}: ${promise}`);
  };
  const ratio = ({ of }: Figure, other: string): number =>
    of.podwire.value / (of[other]?.value ?? of.podwire.value);
  hold("small", (figure) => ratio(figure, "nginx") >= 0.5, "at least 0.5 of nginx");
  hold("large", (figure) => ratio(figure, "nginx") >= 0.7, "at least 0.7 of nginx");
  hold("calm p99", (figure) => ratio(figure, "nginx") <= 2, "at most twice nginx'");
  hold("routes time", ({ of }) => of.podwire.value <= 1.2, "at most 1.2");
  hold(
    "evaluator",
    ({ of }) => of[`${ROUTES.many} routes`].value <= of[`${ROUTES.few} routes`].value * 1.2,
    "at most 1.2 of few",
  );
  hold("endpoint", ({ of }) => of.podwire.value <= 10, "at most 10 ms");
  hold("changes", ({ of }) => of.podwire.value === 0, "none");
  return broken;
}

/** In brackets what podwire is of the other, and µs of processor time for a request. */
export function formatFigure({ case: name, what, unit, of }: Figure): string {
  const own = of.podwire?.value;
  const cells = Object.entries(of).map(([peer, { value, cpuUsEach }]) => {
    const ratio = own === undefined || peer === "podwire" ? [] : [(own / value).toFixed(2)];
    const cpu = cpuUsEach === undefined ? [] : [`${cpuUsEach.toFixed(1)} µs`];
    const notes = [...ratio, ...cpu].join(", ");
    return `${peer} ${formatValue(value)}${notes === "" ? "" : ` (${notes})`}`;
  });
  return `${name.padEnd(9)}  ${what}: ${cells.join("  ")}  ${unit}`;
}

function formatValue(value: number): string {
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 3);
}
