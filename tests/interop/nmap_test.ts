/** What a scan with nmap finds out: the extensions, and nothing to abuse. */

import { assertEquals, assertMatch } from "@std/assert";
import { mustRun } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

/** The first name of nmap's list, so that a scan that can find users does find this one. */
const ROOT = { address: "root@example.org", password: "correct horse battery staple" };

/**
 * Runs scripts against a port, whatever nmap takes its service for.
 *
 * @returns What each script says, by its name, on one line.
 */
async function scan(
  port: number,
  scripts: readonly string[],
  args: readonly string[] = [],
): Promise<Map<string, string>> {
  const output = await mustRun([
    programPath("nmap"),
    ..."-n -Pn -sT --script-timeout 30s -p".split(" "),
    `${port}`,
    ...["--script", scripts.map((name) => `+${name}`).join(",")],
    ...["--script-args", ["smtp-open-relay.domain=elsewhere.example", "vulns.showall", ...args].join(",")],
    "127.0.0.1",
  ]);
  // "| name: first line", then "|   more lines"; "|_" instead of "| " in the last line of a script.
  const findings = new Map<string, string>();
  let name = "";
  for (const [, start, rest = ""] of output.matchAll(/^\|[ _](?:([a-z][\w-]+): ?)?(.*)$/gm)) {
    name = start ?? name;
    findings.set(name, `${findings.get(name) ?? ""} ${rest.trim()}`.trim());
  }
  return findings;
}

const VULNERABILITIES = ["smtp-vuln-cve2010-4344", "smtp-vuln-cve2011-1720"];
/** Says something only where it finds the hole. */
const SILENT = "smtp-vuln-cve2011-1764";

peerTest("nmap finds no open relay, no known hole, and by VRFY and EXPN no user", ["nmap"], async () => {
  await using posthorn = await PosthornProcess.start({ accounts: [ROOT] });
  const port = posthorn.port("mx");
  const found = await scan(port, ["smtp-open-relay", "smtp-commands", "smtp-strangeport", ...VULNERABILITIES, SILENT]);
  assertEquals(found.get("smtp-open-relay"), "Server doesn't seem to be an open relay, all tests failed");
  assertMatch(
    found.get("smtp-commands") ?? "",
    /^mail\.example\.org, PIPELINING, SIZE \d+, .*ENHANCEDSTATUSCODES.*STARTTLS/,
  );
  assertMatch(found.get("smtp-commands") ?? "", / This is posthorn; /);
  assertEquals(found.get("smtp-strangeport"), "Mail server on unusual port: possible malware", "it is SMTP");
  for (const name of VULNERABILITIES) assertMatch(found.get(name) ?? "", /\bNOT VULNERABLE\b/, name);
  assertEquals(found.get(SILENT), undefined);
  assertMatch(posthorn.log, /Refused recipient <.*> from .*: 550 5\.7\.1 /, "it did try to relay");

  // RCPT has to tell who is there: the mail would come back otherwise.
  const nobody = "Couldn't find any accounts";
  for (const [method, answer] of [["VRFY", nobody], ["EXPN", nobody], ["RCPT", "root"]]) {
    const args = ["smtp-enum-users.domain=example.org", `smtp-enum-users.methods={${method}}`];
    const users = await scan(port, ["smtp-enum-users"], args);
    assertEquals(users.get("smtp-enum-users"), answer, method);
  }
});

peerTest("nmap finds no relay, no user and no name of a Windows domain on the submission port", ["nmap"], async () => {
  await using posthorn = await PosthornProcess.start({ accounts: [ROOT] });
  const port = posthorn.port("submission");
  const found = await scan(port, ["smtp-open-relay", "smtp-enum-users", "smtp-ntlm-info", "smtp-commands"]);
  assertEquals(found.get("smtp-open-relay"), "Server isn't an open relay, authentication needed");
  assertEquals(found.get("smtp-enum-users"), "Couldn't perform user enumeration, authentication needed");
  assertEquals(found.has("smtp-ntlm-info"), false);
});
