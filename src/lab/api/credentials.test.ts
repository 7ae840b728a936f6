import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { labPaths } from "../state-dir.ts";
import { planTopology } from "../topology.ts";
import { saveApi, savedApi } from "./credentials.ts";

const topology = (serviceCIDR: string, dns = {}) => planTopology("demo", { spec: { serviceCIDR, dns } });

t.test("a lab keeps its certificates, which name all that it is reached by", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-credentials-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const paths = { ...labPaths("demo"), api: join(folder, "api.json") };
  const made = await savedApi(topology("10.96.0.0/12", { zone: "lab.test" }), paths);
  t.equal(made.port, 0);
  t.equal(statSync(paths.api).mode & 0o777, 0o600);
  const certificate = new X509Certificate(made.credentials.serverCert);
  t.ok(certificate.verify(new X509Certificate(made.credentials.ca).publicKey));
  for (const address of ["127.0.0.1", "::1", "10.96.0.1", "192.168.50.10"])
    t.ok(certificate.checkIP(address), address);
  for (const zone of ["", ".default", ".default.svc", ".default.svc.cluster.local", ".default.svc.lab.test"])
    t.ok(certificate.checkHost(`kubernetes${zone}`), zone);
  t.ok(certificate.checkHost("localhost"));
  t.notOk(certificate.checkHost("kubernetes.kube-system.svc"));

  await saveApi(paths, { ...made, port: 4711 });
  t.same(await savedApi(topology("10.96.0.0/12"), paths), { ...made, port: 4711 });
  const other = await savedApi(topology("10.100.0.0/16"), paths);
  t.equal(other.port, 4711);
  t.not(other.credentials.ca, made.credentials.ca, "another address is not in the old ones");
});
