// Names that a policy wants in a backend's certificate: one of them, by DNS or by URI, and no other part of it.
import { X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import t from "tap";
import { Authority } from "../../testing/l7/authority.ts";
import { identityCheck } from "./backend-identity.ts";

t.test("one of the names has to be in the certificate", async (t) => {
  const { cert } = await (await Authority.make("root")).issue({
    subject: "common.example",
    names: [
      "db.example",
      "*.w.example",
      "spiffe://cluster.local/ns/shop/sa/db",
      "https://x/?a=1,URI:spiffe://evil",
    ],
  });
  const { raw } = new X509Certificate(cert);
  const isRight = (...names: string[]): boolean =>
    identityCheck(names)("whatever", { raw } as PeerCertificate) === undefined;
  t.ok(isRight("DNS:db.example"));
  t.ok(isRight("DNS:other", "URI:spiffe://cluster.local/ns/shop/sa/db"));
  t.ok(isRight("DNS:a.w.example"));
  t.notOk(isRight("DNS:a.b.w.example"));
  t.notOk(isRight("DNS:common.example"), "the common name is no name");
  t.notOk(isRight("URI:spiffe://cluster.local/ns/shop/sa/d"));
  t.notOk(isRight("URI:spiffe://evil"), "a part of another name");
  t.match(identityCheck(["DNS:x"])("", { raw } as PeerCertificate), {
    message: "its certificate has none of the names DNS:x",
  });
});
