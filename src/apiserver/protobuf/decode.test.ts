// Objects that Kubernetes' own library wrote in protobuf and in JSON (testdata/objects.json: k8s.io/api 0.37).
import { readFileSync } from "node:fs";
import fc from "fast-check";
import t from "tap";
import { decodeObject, ProtobufError } from "./decode.ts";

interface Row {
  readonly bytes: string;
  readonly object: { readonly kind: string };
}

const ROWS: Row[] = JSON.parse(readFileSync("src/apiserver/protobuf/testdata/objects.json", "utf8"));

/** What Go's zero values become in JSON, and what is not sent at all, says the same: nothing. */
function meant(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meant);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, each]) => [name, meant(each)]);
  const isSaid = ([, each]: unknown[]): boolean =>
    each !== null && !(typeof each === "object" && Object.keys(each as object).length === 0);
  return Object.fromEntries(entries.filter(isSaid));
}

t.test("as JSON would have brought them", async (t) => {
  for (const { bytes, object } of ROWS)
    t.same(meant(decodeObject(Buffer.from(bytes, "base64"))), meant(object), object.kind);
});

t.test("zero is said where it means something", async (t) => {
  const deployment = ROWS.find(({ object }) => object.kind === "Deployment");
  // biome-ignore lint/suspicious/noExplicitAny: any object
  const object = decodeObject(Buffer.from(deployment?.bytes ?? "", "base64")) as any;
  t.equal(object.spec.replicas, 0);
  t.same(object.spec.template.spec.volumes[0], { name: "e", emptyDir: {} });
  t.notOk("hostPort" in object.spec.template.spec.containers[0].ports[0]);
  t.notOk("uid" in object.metadata);
});

t.test("bytes gone wrong are refused, whatever they are", async (t) => {
  t.throws(() => decodeObject(Buffer.from("{}")), /does not begin with k8s/);
  const unknown = Buffer.from("k8s\0\x0a\x0a\x0a\x02v1\x12\x04Frob");
  t.throws(() => decodeObject(unknown), /no message is known for kind Frob of v1/);
  const run = fc.property(
    fc.constantFrom(...ROWS),
    fc.nat(),
    fc.nat(255),
    fc.boolean(),
    ({ bytes }, at, byte, cut) => {
      const given = Buffer.from(bytes, "base64");
      given[at % given.length] = byte;
      try {
        decodeObject(cut ? given.subarray(0, at % given.length) : given);
      } catch (error) {
        if (!(error instanceof ProtobufError)) throw error;
      }
    },
  );
  fc.assert(run, { numRuns: 3000 });
  t.pass();
});
