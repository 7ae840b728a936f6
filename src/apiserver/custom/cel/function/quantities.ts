// quantity(): amounts as resources have them, "1.5Gi". In billionths, which Kubernetes rounds to as well.
import { nanosOf } from "../../../../kube/validate/resources.ts";
import type { Run } from "../run.ts";
import { Fault, INT_MAX, INT_MIN, type Own } from "../value.ts";

const NANO = 1_000_000_000n;
const QUANTITY = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3})?$/;
const FORM = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

class Quantity implements Own {
  readonly celKind = "quantity";
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
  isEqual(other: Own): boolean {
    return other instanceof Quantity && this.nanos === other.nanos;
  }
}

function quantity(text: string): Quantity {
  if (!QUANTITY.test(text)) throw new Fault(FORM);
  return new Quantity(nanosOf(text));
}

const isWhole = ({ nanos }: Quantity): boolean => {
  const whole = nanos / NANO;
  return nanos % NANO === 0n && whole >= INT_MIN && whole <= INT_MAX;
};

const order = (a: Quantity, b: Quantity): bigint => (a.nanos < b.nanos ? -1n : a.nanos > b.nanos ? 1n : 0n);

export const QUANTITIES: Readonly<Record<string, Run>> = {
  "quantity(string): quantity": quantity,
  "isQuantity(string): bool": (text: string) => QUANTITY.test(text),
  "sign(quantity): int": ({ nanos }: Quantity) => (nanos > 0n ? 1n : nanos < 0n ? -1n : 0n),
  "quantity.isGreaterThan(quantity): bool": (a: Quantity, b: Quantity) => a.nanos > b.nanos,
  "quantity.isLessThan(quantity): bool": (a: Quantity, b: Quantity) => a.nanos < b.nanos,
  "quantity.compareTo(quantity): int": order,
  "quantity.isInteger(): bool": isWhole,
  "quantity.asInteger(): int": (value: Quantity) => {
    if (!isWhole(value)) throw new Fault("cannot convert value to integer");
    return value.nanos / NANO;
  },
  "quantity.asApproximateFloat(): double": ({ nanos }: Quantity) => Number(nanos) / Number(NANO),
  "quantity.add(quantity): quantity": (a: Quantity, b: Quantity) => new Quantity(a.nanos + b.nanos),
  "quantity.add(int): quantity": (a: Quantity, b: bigint) => new Quantity(a.nanos + b * NANO),
  "quantity.sub(quantity): quantity": (a: Quantity, b: Quantity) => new Quantity(a.nanos - b.nanos),
  "quantity.sub(int): quantity": (a: Quantity, b: bigint) => new Quantity(a.nanos - b * NANO),
};
