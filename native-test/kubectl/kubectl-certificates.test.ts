// kubectl decides about CertificateSigningRequests of a lab, and a signer's certificate comes back.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { CERTIFICATE, REQUEST } from "../../src/testing/api-server/signing.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { run } from "../../src/testing/lab/process.ts";

const skip = cannotRun("kubectl");

const request = (name: string): string => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: ${name} }
spec: { request: ${REQUEST}, signerName: example.com/own, usages: [ client auth ], username: somebody }
`;

t.test("kubectl certificate", { skip }, async (t) => {
  const lab = await TestLab.up("csr", { nodes: [{ name: "node1" }] });
  t.teardown(() => lab.down());
  const kubeconfig = join(lab.folder, "kubeconfig");
  await writeFile(kubeconfig, (await lab.podwire(["kubeconfig"])).stdout);
  const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: lab.folder };
  const kubectl = async (...words: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(["kubectl", ...words], { env });
    return status === 0 ? stdout : `status ${status}: ${stderr}`;
  };
  const file = join(lab.folder, "csr.yaml");
  await writeFile(file, ["jane", "joe"].map(request).join("---\n"));
  t.match(await kubectl("create", "-f", file), /certificatesigningrequest.certificates.k8s.io\/jane created/);
  const listed = async (): Promise<string[][]> =>
    (await kubectl("get", "csr", "--no-headers"))
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
  t.match(await listed(), [
    ["jane", /s$/, "example.com/own", "kubernetes-admin", "<none>", "Pending"],
    ["joe", /s$/, "example.com/own", "kubernetes-admin", "<none>", "Pending"],
  ]);
  t.match(await kubectl("certificate", "approve", "jane"), /jane approved/);
  t.match(await kubectl("certificate", "deny", "joe"), /joe denied/);
  t.same(
    (await listed()).map((row) => row.at(-1)),
    ["Approved", "Denied"],
  );
  t.match(
    await kubectl("describe", "csr", "joe"),
    /Requesting User:\s+kubernetes-admin[\s\S]*Status:\s+Denied/,
  );
  t.match(await kubectl("certificate", "approve", "joe"), /mutually exclusive|already denied|status 1/);
  const status = join(lab.folder, "status.json");
  const whole = JSON.parse(await kubectl("get", "csr", "jane", "-o", "json")) as { status: object };
  await writeFile(
    status,
    JSON.stringify({ ...whole, status: { ...whole.status, certificate: CERTIFICATE } }),
  );
  const at = "/apis/certificates.k8s.io/v1/certificatesigningrequests/jane/status";
  await kubectl("replace", "--raw", at, "-f", status);
  t.match((await listed())[0].at(-1), "Approved,Issued");
  t.equal(await kubectl("get", "csr", "jane", "-o", "jsonpath={.status.certificate}"), CERTIFICATE);
});
