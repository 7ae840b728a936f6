import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { Authority } from "../../testing/l7/authority.ts";
import { FileIdentities } from "./file-identities.ts";

const ID = "spiffe://cluster.local/ns/shop/sa/web";

t.test(
  "certificates are read from files by namespace and account, and what is wrong with them is told",
  async (t) => {
    const authority = await Authority.make("mesh");
    const directory = t.testdir({ "ca.crt": authority.cert });
    let changes = 0;
    const identities = new FileIdentities(directory, () => changes++);
    t.teardown(() => identities.close());
    t.equal(identities.bundle, authority.cert);
    identities.keep([ID]);
    t.equal(identities.get(ID), undefined);
    await t.rejects(identities.wait(ID, 1), {
      code: "MESH_IDENTITY",
      message: /no certificate of .*shop\.web\.crt cannot be read \(ENOENT\)/,
    });
    const toMs = Math.floor(Date.now() / 1000) * 1000 + 60_000;
    const { cert, key } = await authority.issue({ names: [ID], toMs });
    writeFileSync(join(directory, "shop.web.crt"), cert);
    writeFileSync(join(directory, "shop.web.key"), key);
    identities.keep([ID]);
    t.match(identities.get(ID), { id: ID, cert, key, notAfterMs: toMs });
    t.equal(await identities.wait(ID, 1), identities.get(ID));
    t.equal(identities.problemOf(ID), "");
    t.equal(changes, 1);
    const before = identities.get(ID);
    identities.keep([ID]);
    t.equal(identities.get(ID), before, "nothing new");
    writeFileSync(join(directory, "shop.web.crt"), "no certificate");
    identities.keep([ID]);
    t.equal(identities.get(ID), before, "a broken file leaves what was there");
    t.not(identities.problemOf(ID), "");
    identities.keep([]);
    t.equal(identities.get(ID), undefined, "what is not needed is forgotten");
  },
);

t.test("without an authority it does not start", async (t) => {
  t.throws(() => new FileIdentities(t.testdir(), () => {}), {
    code: "MESH_IDENTITY",
    message: /ca\.crt cannot be read/,
  });
});
