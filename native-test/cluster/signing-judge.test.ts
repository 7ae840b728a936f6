// Requests for certificates, given to a real API server and to ours: what is taken, and in which words it is not.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ServedCluster } from "../../src/testing/api-server/served-cluster.ts";
import { CERTIFICATE } from "../../src/testing/api-server/signing.ts";
import { MASTERS_REQUEST, SIGNING_CASES } from "../../src/testing/api-server/signing-cases.ts";
import { ControlPlane, noCluster } from "./support/control-plane.ts";

const AT = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLIENT = "kubernetes.io/kube-apiserver-client";

interface Status {
  readonly message?: string;
  readonly details?: object;
}

t.test("requests for certificates as a real API server takes them", { skip: noCluster() }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-signing-"));
  const control = await ControlPlane.start(folder);
  const served = new ServedCluster();
  t.teardown(async () => {
    await control.stop();
    served.api.close();
    await rm(folder, { recursive: true, force: true });
  });
  const { admin } = control;
  const both = async (
    method: string,
    path: string,
    body: object,
  ): Promise<[Status, Status, number, number]> => {
    const real = await admin.ask(method, `${AT}${path}`, body);
    const { code, body: mine } = served.call(`${method} ${AT}${path}`, body);
    return [mine, real.body as Status, code, real.status];
  };
  const request = (name: string, asked: string, more: object = {}): object => ({
    ...{ apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest", metadata: { name } },
    spec: { request: asked, signerName: "example.com/own", usages: ["client auth"], ...more },
  });
  const told = ({ message, details }: Status): object => ({ message, details });

  await t.test("by their signatures", async (t) => {
    for (const [name, asked] of SIGNING_CASES) {
      const [mine, real, code, status] = await both("POST", "?dryRun=All", request("a", asked));
      t.equal(code, status, name);
      if (status !== 201) t.same(told(mine), told(real), name);
    }
  });

  await t.test("by their signers", async (t) => {
    for (const signerName of [CLIENT, "kubernetes.io/kubelet-serving", "example.com/own", "own", "a.b/c/d"]) {
      const [mine, real, code, status] = await both(
        "POST",
        "?dryRun=All",
        request("a", MASTERS_REQUEST, { signerName }),
      );
      t.equal(code, status, signerName);
      if (status !== 201) t.same(told(mine), told(real), signerName);
    }
  });

  await t.test("by what is signed", async (t) => {
    const [[, asked]] = SIGNING_CASES;
    await both("POST", "", request("b", asked));
    const lines = (...texts: string[]): string => Buffer.from(texts.join("")).toString("base64");
    const certificate = Buffer.from(CERTIFICATE, "base64").toString();
    const headed = certificate.replace("\n", "\nFrom: jane\n\n");
    const given = [
      "eA==",
      asked,
      lines(certificate, headed),
      lines(certificate, certificate.replace("MII", "MIJ")),
    ];
    for (const one of [...given, lines(certificate, "and\n", certificate)]) {
      const body = { ...request("b", asked), status: { certificate: one } };
      const [mine, real, code, status] = await both("PUT", "/b/status?dryRun=All", body);
      t.equal(code, status, one);
      if (status !== 200) t.same(told(mine), told(real), one);
    }
  });
});
