// Secrets with certificates: which can be shown, and which one a name gets.
import t from "tap";
import { makeCredentials } from "../apiserver/certificates.ts";
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
