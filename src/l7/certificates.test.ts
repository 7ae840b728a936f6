// Secrets with certificates: which can be shown, and which one a name gets.

import { generateKeyPairSync } from "node:crypto";
import t from "tap";
import { makeCredentials } from "../apiserver/certificates.ts";
import { Authority } from "../testing/l7/authority.ts";
import { ingress, objectsOf, served } from "../testing/l7/objects.ts";
import { Certificates, covers } from "./certificates.ts";
import { Evaluator } from "./evaluator.ts";
import { readRequest } from "./request.ts";

const secret = (name: string, crt: string, key: string): object => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace: "shop" },
  type: "kubernetes.io/tls",
  stringData: { "tls.crt": crt, "tls.key": key },
});

t.test("a Secret's certificate: its names, whether the key is its own", async (t) => {
  const one = await makeCredentials("l7", ["a.example", "*.b.example"], []);
  const certificates = new Certificates(
    objectsOf(
      secret("good", one.serverCert, one.serverKey),
      secret("mixed", one.serverCert, one.adminKey),
      secret("nokey", one.serverCert, "none"),
      secret("nothing", "none", one.serverKey),
    ),
  );
  t.match(certificates.find("shop", "good"), {
    secret: "shop/good",
    problem: "",
    names: ["a.example", "*.b.example"],
  });
  t.match(certificates.find("shop", "mixed"), {
    problem: "tls.key of Secret shop/mixed is not the key of its certificate",
  });
  t.match(certificates.find("shop", "nokey"), { problem: "tls.key of Secret shop/nokey is no key" });
  t.match(certificates.find("shop", "nothing"), {
    problem: "tls.crt of Secret shop/nothing is no certificate",
  });
  t.match(certificates.find("other", "good"), { problem: "there is no Secret other/good", isMissing: true });
});

const DAY_MS = 86_400_000;

t.test("the chain: the key's certificate first, then each that has signed the one before", async (t) => {
  const root = await Authority.make("root");
  const middle = await root.intermediate("middle");
  const other = await Authority.make("other");
  const one = await middle.issue({ names: ["a.example"] });
  const find = (crt: string): { problem: string; warnings: readonly string[] } =>
    new Certificates(objectsOf(secret("s", crt, one.key))).find("shop", "s");
  t.same(find(one.cert + middle.cert + root.cert), { ...find(one.cert), problem: "", warnings: [] });
  t.match(find(middle.cert + one.cert), {
    problem:
      "tls.key of Secret shop/s is not the key of its certificate, but of number 2 in tls.crt, which has to come first",
  });
  t.match(find(one.cert + root.cert + middle.cert), {
    problem: "",
    warnings: [
      "number 2 in tls.crt of Secret shop/s has not signed number 1: clients may not find their way",
    ],
  });
  t.match(find(one.cert + middle.cert + other.cert).warnings, [
    /^number 3 in tls\.crt .* has not signed number 2/,
  ]);
  const rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  t.match(find(one.cert + rubbish), {
    problem: "tls.crt of Secret shop/s holds something that is no certificate, as number 2",
  });
});

t.test(
  "dates are held to the clock that is given, and only told of; without a clock they are not looked at",
  async (t) => {
    const root = await Authority.make("root");
    const end = Date.parse("2030-06-01T00:00:00Z");
    const one = await root.issue({ names: ["a.example"], fromMs: end - 90 * DAY_MS, toMs: end });
    const objects = objectsOf(secret("s", one.cert, one.key));
    const at = (nowMs?: number): readonly string[] => {
      const { problem, warnings } = new Certificates(objects, nowMs).find("shop", "s");
      t.equal(problem, "");
      return warnings;
    };
    t.same(at(), []);
    t.same(at(end - 11 * DAY_MS), []);
    t.same(at(end - 2.5 * DAY_MS), ["the certificate of Secret shop/s ends in 2 days: 2030-06-01T00:00:00Z"]);
    t.same(at(end + 1000), ["the certificate of Secret shop/s has expired: 2030-06-01T00:00:00Z"]);
    t.match(at(end - 91 * DAY_MS), [/is not valid before 2030-03-03T00:00:00Z$/]);
  },
);

t.test("a key that nobody can read, and one that OpenSSL does not take, are told as that", async (t) => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const locked = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" });
  const one = await (await Authority.make("root")).issue({ names: ["a.example"] });
  const certificates = new Certificates(objectsOf(secret("locked", one.cert, String(locked))));
  t.match(certificates.find("shop", "locked"), {
    problem: "tls.key of Secret shop/locked is encrypted: nobody here has its password",
  });
});

t.test(
  "a host whose Secret is for other names gets the proxy's own certificate, and it is told",
  async (t) => {
    const one = await (await Authority.make("root")).issue({ names: ["*.b.example"] });
    const evaluator = new Evaluator(
      objectsOf(
        ...served("one"),
        secret("b", one.cert, one.key),
        ingress({
          hosts: { "a.example": [{ path: "/", to: "one" }], "x.b.example": [{ path: "/", to: "one" }] },
          tls: [{ hosts: ["a.example", "x.b.example"], secretName: "b" }],
        }),
      ),
    );
    const certOf = (host: string): string | undefined =>
      evaluator.evaluate(readRequest({ scheme: "https", path: "/", host })).cert;
    t.equal(certOf("x.b.example"), "shop/b");
    t.equal(certOf("a.example"), undefined);
    t.match(evaluator.notes, [
      "Ingress shop/web: the certificate of Secret shop/b is for *.b.example, and not for a.example: the proxy shows its own certificate",
    ]);
  },
);

t.test("a star in a certificate is one label", async (t) => {
  for (const [host, isCovered] of [
    ["x.b.example", true],
    ["b.example", false],
    ["y.x.b.example", false],
    ["", false],
  ] as const)
    t.equal(covers(["*.b.example"], host), isCovered, host);
});

t.test("TLS shows the certificate of the name that it asked for, whatever Host says", async (t) => {
  const a = await makeCredentials("l7", ["a.example"], []);
  const b = await makeCredentials("l7", ["b.example"], []);
  const objects = objectsOf(
    ...served("one"),
    secret("a", a.serverCert, a.serverKey),
    secret("b", b.serverCert, b.serverKey),
    ingress({
      hosts: {
        "a.example": [{ path: "/", to: "one" }],
        "b.example": [{ path: "/", to: "one" }],
        "c.example": [{ path: "/", to: "one" }],
      },
      tls: [
        { hosts: ["a.example"], secretName: "a" },
        { secretName: "b" },
        { hosts: ["c.example"], secretName: "gone" },
      ],
    }),
  );
  const evaluator = new Evaluator(objects);
  const certOf = (fields: object): string | undefined =>
    evaluator.evaluate(readRequest({ scheme: "https", path: "/", ...fields })).cert;
  t.equal(certOf({ host: "a.example" }), "shop/a");
  t.equal(certOf({ host: "a.example", sni: "b.example" }), "shop/b", "by the certificate's own names");
  t.equal(certOf({ host: "c.example" }), undefined);
  t.equal(certOf({ host: "z.example" }), undefined);
  t.equal(certOf({ host: "a.example", scheme: "http" }), undefined);
  t.match(evaluator.notes, [
    "Ingress shop/web: there is no Secret shop/gone: the proxy shows its own certificate",
  ]);
});
