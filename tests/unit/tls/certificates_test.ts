import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import type { Logger } from "@logtape/logtape";
import { type Certificate, Certificates, loadCertificates, parseCertificate } from "../../../lib/tls/certificates.ts";
import { CertificateError } from "../../../lib/tls/certificate_error.ts";
import { makeSelfSigned } from "../../../lib/tls/self_signed.ts";
import { ensureSelfSigned } from "../../../lib/tls/self_signed_files.ts";
import { systemFiles } from "../../../lib/system/files.ts";

const NOW = Date.parse("2026-11-23T15:00:00Z");
const DAY_MS = 86_400_000;
const LIFE_MS = 3650 * DAY_MS;

/** Keeps what is logged, as text with its fields. */
function recorder(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const take = (message: string, fields: Record<string, unknown>): void => {
    lines.push(message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])));
  };
  return { logger: { info: take, warning: take, error: take } as unknown as Logger, lines };
}

/** A reader of files that are in memory. */
function reader(files: Record<string, string>): (path: string) => Promise<string> {
  return (path) => {
    const text = files[path];
    return text === undefined ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve(text);
  };
}

async function loadError(files: Record<string, string>, nowMs = NOW): Promise<CertificateError> {
  const { logger } = recorder();
  return await assertRejects(
    () => loadCertificates([{ chain: "a.crt", key: "a.key" }], { read: reader(files), now: () => nowMs, logger }),
    CertificateError,
  );
}

function named(...names: string[]): Certificate {
  return { names } as unknown as Certificate;
}

Deno.test("a certificate is chosen by its exact name, then by wildcard, then the first one", () => {
  const first = named("mail.example.org");
  const wild = named("*.example.org", "example.net");
  const exact = named("smtp.example.org");
  const certificates = new Certificates([first, wild, exact]);
  const chosen = (name?: string): Certificate => certificates.select(name);
  assert(chosen() === first);
  assert(chosen("unknown.example") === first);
  assert(chosen("SMTP.Example.Org.") === exact);
  assert(chosen("imap.example.org") === wild);
  assert(chosen("example.net") === wild);
  // A wildcard stands for exactly one label (RFC 9525 §6.3).
  assert(chosen("a.b.example.org") === first);
  assert(chosen("example.org") === first);
  assert(chosen("") === first);
  assert(chosen("org") === first);
});

Deno.test("a pair of files is loaded with its names, and a certificate that ends within 14 days is logged", async () => {
  const pair = await makeSelfSigned("mail.example.org", NOW);
  const files = { "a.crt": pair.chain, "a.key": pair.key };
  const { logger, lines } = recorder();
  const load = (nowMs: number): Promise<Certificates> =>
    loadCertificates([{ chain: "a.crt", key: "a.key" }], { read: reader(files), now: () => nowMs, logger });
  const certificates = await load(NOW + LIFE_MS - 15 * DAY_MS);
  assertEquals(certificates.all.map((certificate) => certificate.names), [["mail.example.org"]]);
  assertEquals(lines, []);
  await load(NOW + LIFE_MS - 13.5 * DAY_MS);
  assertEquals(lines, ["Certificate a.crt ends in 13 days, on 2036-11-20T15:00:00.000Z: renew it"]);
});

Deno.test("a certificate that is not valid now is used all the same, and logged as an error: mail goes on", async () => {
  const pair = await makeSelfSigned("mail.example.org", NOW);
  const { logger, lines } = recorder();
  const options = { read: reader({ "a.crt": pair.chain, "a.key": pair.key }), logger };
  await loadCertificates([{ chain: "a.crt", key: "a.key" }], { ...options, now: () => NOW + LIFE_MS });
  await loadCertificates([{ chain: "a.crt", key: "a.key" }], { ...options, now: () => NOW - 2 * DAY_MS });
  assertEquals(lines, [
    "Certificate a.crt ended on 2036-11-20T15:00:00.000Z: renew it, clients that check it refuse it",
    "Certificate a.crt is not valid before 2026-11-22T15:00:00.000Z: check the clock",
  ]);
});

Deno.test("an unusable pair is refused with the file at fault and what to do", async () => {
  const [a, b] = [await makeSelfSigned("a.example", NOW), await makeSelfSigned("b.example", NOW)];
  const good = { "a.crt": a.chain, "a.key": a.key };

  const missing = await loadError({ "a.crt": a.chain });
  assertEquals(missing.message, 'Cannot read key "a.key": no such file; correct tls.certificates in the configuration');
  assertEquals(missing.file, "a.key");

  const swapped = await loadError({ ...good, "a.key": b.key });
  assertStringIncludes(swapped.message, 'Cannot use key "a.key": it does not fit certificate "a.crt"');

  assertMatch((await loadError({ ...good, "a.crt": a.key })).message, /"a\.crt": no PEM certificate found/);
  assertMatch((await loadError({ ...good, "a.key": a.chain })).message, /"a\.key": no PEM private key found/);
  const broken = a.chain.replace(/\n[^\n]{10}/, "\nAAAAAAAAAA");
  assertMatch((await loadError({ ...good, "a.crt": broken })).message, /its PEM block is broken/);
  const locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
  assertMatch((await loadError({ ...good, "a.key": locked })).message, /protected by a passphrase; .*openssl pkey/);

  for (const error of [missing, swapped]) assert(!error.message.includes("PRIVATE KEY--"));
});

Deno.test("the leaf of a chain file is its first certificate", async () => {
  const [leaf, other] = [await makeSelfSigned("leaf.example", NOW), await makeSelfSigned("other.example", NOW)];
  const pair = { chain: `Bag Attributes\n${leaf.chain}\n${other.chain}`, key: leaf.key };
  assertEquals(parseCertificate(pair, { chain: "a.crt", key: "a.key" }).names, ["leaf.example"]);
});

/** A temporary keys folder with a runner of `ensureSelfSigned` in it. */
async function keysFolder(): Promise<
  { path: string; ensure(hostname: string, nowMs: number): Promise<string>; lines: string[] } & AsyncDisposable
> {
  const path = await Deno.makeTempDir();
  const { logger, lines } = recorder();
  const folder = `${path}/keys`;
  return {
    path: folder,
    lines,
    ensure: async (hostname, nowMs): Promise<string> => {
      const read = (file: string): Promise<string> => Deno.readTextFile(file);
      const paths = await ensureSelfSigned({ folder, hostname, nowMs, files: systemFiles, read, logger });
      return await Deno.readTextFile(paths.chain);
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("the self-signed certificate is made once, 0600 for the key, and kept by later starts", async () => {
  await using keys = await keysFolder();
  const made = await keys.ensure("mail.example.org", NOW);
  assertEquals(await keys.ensure("mail.example.org", NOW + 100 * DAY_MS), made);
  const mode = async (name: string): Promise<number> => (await Deno.stat(`${keys.path}/${name}`)).mode ?? 0;
  assertEquals((await mode("self-signed.key.pem")) & 0o777, 0o600);
  assertEquals((await mode("")) & 0o777, 0o700);
  assertEquals(keys.lines.length, 1);
  assertMatch(keys.lines[0] ?? "", /^Made self-signed certificate .* for mail\.example\.org: none is configured$/);
});

Deno.test("a new self-signed certificate is made when the name changes, when it ends, and when a file is broken", async () => {
  await using keys = await keysFolder();
  const made = [await keys.ensure("mail.example.org", NOW), await keys.ensure("mx.example.org", NOW)];
  made.push(await keys.ensure("mx.example.org", NOW + LIFE_MS - 29 * DAY_MS));
  const other = await makeSelfSigned("mx.example.org", NOW + LIFE_MS);
  await Deno.writeTextFile(`${keys.path}/self-signed.key.pem`, other.key);
  await Deno.writeTextFile(`${keys.path}/self-signed.key.pem.new`, "left by a crash");
  made.push(await keys.ensure("mx.example.org", NOW + LIFE_MS - 29 * DAY_MS));
  assertEquals(new Set(made).size, 4);
  assertEquals(keys.lines.map((line) => line.replace(/.*: /, "")), [
    "none is configured",
    "the host name changed",
    "the old one ends",
    "the old one cannot be used",
  ]);
});
