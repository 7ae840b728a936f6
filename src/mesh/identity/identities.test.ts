// Certificates of a node's identities: asked for, renewed before they end, refused and tried again.
import { createPrivateKey, webcrypto, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { Identities } from "./identities.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-identities-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const bundleFile = join(folder, "ca.crt");
writeFileSync(bundleFile, "first");
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const WEB = "spiffe://cluster.local/ns/shop/sa/web";
const API = "spiffe://cluster.local/ns/shop/sa/api";

interface Signed {
  readonly names: string;
  readonly usages: readonly string[];
  readonly signerName: string;
}

/** An API server with a signer: what it answers is a request's status. */
class Signer {
  readonly asked: Signed[] = [];
  lifeMs = 3_600_000;
  /** What is answered in place of a certificate. */
  answer: object | undefined;
  #server!: Server;
  readonly #requests = new Map<string, object>();

  async start(): Promise<URL> {
    await import("reflect-metadata");
    const x509 = await import("@peculiar/x509");
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    this.#server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
      if (request.method === "POST") {
        const { spec } = JSON.parse(String(Buffer.concat(parts))) as { spec: Signed & { request: string } };
        const read = new x509.Pkcs10CertificateRequest(Buffer.from(spec.request, "base64").toString());
        const san = read.extensions[0];
        const names = (san as InstanceType<typeof x509.SubjectAlternativeNameExtension>).names.items;
        this.asked.push({ ...spec, names: names.map(({ value }) => value).join() });
        const name = `r-${this.asked.length}`;
        const certificate = await x509.X509CertificateGenerator.create({
          ...{ serialNumber: "01", subject: "", issuer: "CN=test", signingAlgorithm: ALGORITHM },
          ...{ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + this.lifeMs) },
          ...{ publicKey: read.publicKey, signingKey: keys.privateKey, extensions: [san] },
        });
        const issued = { certificate: Buffer.from(certificate.toString("pem")).toString("base64") };
        this.#requests.set(name, { metadata: { name, uid: name }, status: this.answer ?? issued });
        response.writeHead(201).end(JSON.stringify({ metadata: { name, uid: name } }));
        return;
      }
      const found = this.#requests.get(request.url?.split("/").at(-1) ?? "");
      response.writeHead(found === undefined ? 404 : 200).end(JSON.stringify(found ?? { message: "gone" }));
    });
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function start(t: { teardown(end: () => void): void }, set: Partial<Signer> = {}) {
  const signer = Object.assign(new Signer(), set);
  const url = await signer.start();
  const notes: string[] = [];
  const changed: string[] = [];
  const identities = new Identities({
    access: { servers: [url], insecure: false, headers: {} },
    ...{ bundleFile, onNote: (line) => notes.push(line), onChange: (what) => changed.push(what) },
  });
  t.teardown(() => {
    identities.close();
    signer.stop();
  });
  return { signer, identities, notes, changed };
}

t.test("each identity gets a certificate for a key that was made here", async (t) => {
  const { signer, identities, changed, notes } = await start(t);
  t.equal(identities.get(WEB), undefined);
  await t.rejects(identities.wait(WEB, 10), /no certificate of spiffe:.*web: no pod of this node has it/);
  identities.keep([WEB, API]);
  const svid = await identities.wait(WEB, 5000);
  const certificate = new X509Certificate(svid.cert);
  t.ok(certificate.checkPrivateKey(createPrivateKey(svid.key)));
  t.equal(certificate.subjectAltName, `URI:${WEB}`);
  t.equal(svid.notAfterMs, Date.parse(certificate.validTo));
  t.not((await identities.wait(API, 5000)).key, svid.key);
  t.equal(identities.get(WEB), svid);
  t.match(signer.asked[0], {
    signerName: "podwire.dev/mesh-workload",
    usages: ["digital signature", "key encipherment", "client auth", "server auth"],
  });
  t.same(signer.asked.map(({ names }) => names).sort(), [API, WEB]);
  t.same([changed.sort(), notes], [[API, WEB], []]);
  identities.keep([API]);
  t.equal(identities.get(WEB), undefined, "of a pod that is gone there is none");
  identities.keep([API, WEB]);
  t.not((await identities.wait(WEB, 5000)).key, svid.key);
});

t.test("it is renewed when two thirds of its life are over, and there is one at all times", async (t) => {
  const { signer, identities } = await start(t, { lifeMs: 6000 });
  identities.keep([WEB]);
  const first = await identities.wait(WEB, 5000);
  const startMs = Date.now();
  while (identities.get(WEB) === first) await sleep(10);
  const tookMs = Date.now() - startMs;
  const second = identities.get(WEB);
  t.ok(second !== undefined && second.key !== first.key);
  t.ok(tookMs > 2500 && tookMs < 5900, `after ${tookMs} ms`);
  t.equal(signer.asked.length, 2);
});

t.test("why there is none is told once, and it is tried again", async (t) => {
  const refusal = { type: "Denied", status: "True", reason: "NoSuchPod", message: "no pod" };
  const { signer, identities, notes } = await start(t, { answer: { conditions: [refusal] } });
  identities.keep([WEB]);
  const why = /CertificateSigningRequest r-1: Denied NoSuchPod: no pod/;
  await t.rejects(identities.wait(WEB, 5000), why);
  t.match(identities.problemOf(WEB), why);
  t.match(notes, [why]);
  signer.answer = undefined;
  t.ok(await identities.wait(WEB, 5000));
  t.equal(identities.problemOf(WEB), "");
  t.equal(notes.length, 1);
});

t.test("whom to trust is read from a file, which has to be there", async (t) => {
  const { identities } = await start(t);
  t.equal(identities.bundle, "first");
  const wrong = () =>
    new Identities({
      access: { servers: [new URL("http://127.0.0.1:1")], insecure: false, headers: {} },
      ...{ bundleFile: join(folder, "none"), onNote: () => {}, onChange: () => {} },
    });
  t.throws(wrong, /trustBundle: .*none cannot be read/);
});
