/** What testssl.sh finds wrong with the TLS of a server that runs as it comes. */

import { assertEquals } from "@std/assert";
import { mustRun } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** Findings that are about the test and not about posthorn, or that the runtime leaves no choice in. */
const ACCEPTED: ReadonlyMap<string, string> = new Map([
  ["cert_trust", "the self-signed certificate is for a name, and the scanner asks 127.0.0.1"],
  ["cert_chain_of_trust", "the certificate is self-signed"],
  ["cert_validityPeriod", "a self-signed certificate is not checked, so it should not run out"],
  ["cert_revocation", "nobody can take a self-signed certificate back"],
  // The TLS of Deno follows the client's order. Every suite that it has is AEAD with forward secrecy, so none is worse:
  // the cipher lists below make sure of that.
  ["cipher_order", "the client chooses among suites that are all good"],
]);

const CHECKS = ["--protocols", "--std", "--server-defaults", "--server-preference", "--fs", "--vulnerable"];
const HARMFUL: ReadonlySet<string> = new Set(["MEDIUM", "HIGH", "CRITICAL", "FATAL"]);

async function scan(file: string, port: number, options: readonly string[]): Promise<readonly Finding[]> {
  const command = [programPath("testssl"), "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none"];
  await mustRun([
    "bash",
    "-c",
    '"$@" >/dev/null || [ $? -lt 50 ]',
    "bash",
    ...command,
    ...CHECKS,
    ...options,
    "--jsonfile",
    file,
    `127.0.0.1:${port}`,
  ], {
    timeoutMs: 300_000,
  });
  return JSON.parse(await Deno.readTextFile(file)) as Finding[];
}

peerTest("testssl.sh finds nothing above LOW, over STARTTLS and from the first octet", ["testssl"], async () => {
  await using folder = await TemporaryFolder.create();
  await using posthorn = await PosthornProcess.start();
  const scans = await Promise.all([
    scan(`${folder.path}/starttls.json`, posthorn.port("mx"), ["--starttls", "smtp"]),
    scan(`${folder.path}/implicit.json`, posthorn.port("submission", "implicit"), []),
  ]);
  for (const findings of scans) {
    const bad = findings.filter(({ id, severity }) => HARMFUL.has(severity) && !ACCEPTED.has(id));
    assertEquals(bad.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`), []);
    const saying = (id: string): string | undefined => findings.find((each) => each.id === id)?.finding;
    for (const old of ["SSLv2", "SSLv3", "TLS1", "TLS1_1"]) assertEquals(saying(old), "not offered", old);
    for (const now of ["TLS1_2", "TLS1_3"]) assertEquals(saying(now)?.startsWith("offered"), true, now);
    for (const weak of ["NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA"]) {
      assertEquals(saying(`cipherlist_${weak}`), "not offered", weak);
    }
    assertEquals(saying("cipherlist_AVERAGE"), "not offered");
  }
});
