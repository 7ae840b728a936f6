import t from "tap";
import { readSpiffeId, spiffeId } from "./spiffe.ts";

t.test("an identity is read as it is written", async (t) => {
  const id = spiffeId({ namespace: "shop", serviceAccount: "web.front" });
  t.equal(id, "spiffe://cluster.local/ns/shop/sa/web.front");
  t.same(readSpiffeId(id), {
    trustDomain: "cluster.local",
    namespace: "shop",
    serviceAccount: "web.front",
  });
  const other = spiffeId({ namespace: "a", serviceAccount: "b" }, "example.org");
  t.match(readSpiffeId(other), { trustDomain: "example.org", namespace: "a", serviceAccount: "b" });
});

t.test("what only looks like one is none", async (t) => {
  for (const text of [
    "spiffe://cluster.local/ns/shop/sa/web/",
    "spiffe://cluster.local/ns/shop/sa/",
    "spiffe://cluster.local/ns/shop/sa/web?x",
    "spiffe://cluster.local/ns/shop/sa/web#x",
    "spiffe://cluster.local/ns/shop/sa/%77eb",
    "spiffe://cluster.local/ns/shop/sa/Web",
    "spiffe://cluster.local:443/ns/shop/sa/web",
    "spiffe://a@cluster.local/ns/shop/sa/web",
    "spiffe://cluster.local//ns/shop/sa/web",
    "SPIFFE://cluster.local/ns/shop/sa/web",
    "https://cluster.local/ns/shop/sa/web",
    "spiffe://cluster.local/ns/shop/sa/web\n",
    `spiffe://cluster.local/ns/shop/sa/${"w".repeat(3000)}`,
    "",
  ])
    t.equal(readSpiffeId(text), undefined, text);
});
