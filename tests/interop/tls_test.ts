/** TLS as `openssl s_client` sees it, over STARTTLS and from the first octet. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileFingerprint, TestAuthority } from "../support/interop/certificates.ts";
import { type CommandResult, mustRun, runCommand } from "../support/interop/command.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const CLIENTS = `${import.meta.dirname}/../fixtures/tls/clients`;
const STARTTLS = ["-starttls", "smtp"];
/** Without it Debian's openssl does not even offer the old versions. */
const OLD = ["-cipher", "DEFAULT@SECLEVEL=0"];

/** A session that says QUIT at once. `-ign_eof`: it ends when the server ends. */
async function sClient(port: number, options: readonly string[], stdin = "QUIT\r\n"): Promise<CommandResult> {
  const command = [programPath("openssl"), "s_client", "-connect", `127.0.0.1:${port}`, "-ign_eof", ...options];
  return await runCommand(command, { stdin, timeoutMs: 20_000 });
}

/** How the server ended a session under TLS, and under which version and cipher that was. */
function outcome({ stdout }: CommandResult): { cipher: string | undefined; isGoodbye: boolean } {
  const cipher = /^New, (TLSv1\.[23], Cipher is \S+)$/m.exec(stdout)?.[1];
  return { cipher, isGoodbye: /^221 2\.0\.0 /m.test(stdout) };
}

peerTest("TLS 1.2 and 1.3 are spoken, 1.0 and 1.1 and weak ciphers are refused, and the log says why", [
  "openssl",
], async () => {
  await using posthorn = await PosthornProcess.start();
  const ways = [
    { port: posthorn.port("mx"), options: STARTTLS },
    { port: posthorn.port("submission", "implicit"), options: [] },
  ];
  for (const { port, options } of ways) {
    for (const version of ["1_2", "1_3"]) {
      const { cipher, isGoodbye } = outcome(await sClient(port, [...options, `-tls${version}`]));
      assertMatch(cipher ?? "", /^TLSv1\.[23], Cipher is (TLS_|ECDHE-ECDSA-).*(GCM-?_?SHA\d+|POLY1305(_SHA256)?)$/);
      assert(isGoodbye, `TLS ${version} on ${port}`);
    }
    const refusals = posthorn.log.split("no TLS version from 1.2 on").length - 1;
    for (const version of ["1", "1_1"]) {
      const result = await sClient(port, [...options, `-tls${version}`, ...OLD]);
      assertEquals(outcome(result), { cipher: undefined, isGoodbye: false });
    }
    await waitUntil(() => posthorn.log.split("no TLS version from 1.2 on").length - 1 === refusals + 2 || undefined, {
      what: "two refusals in the log",
      detail: () => posthorn.log,
    });
    // No CBC, no key exchange without forward secrecy.
    for (const weak of ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA"]) {
      const result = await sClient(port, [...options, "-tls1_2", "-cipher", `${weak}:@SECLEVEL=0`]);
      assertEquals(outcome(result).cipher, undefined, weak);
    }
  }
  assertMatch(
    posthorn.log,
    /info smtp: No TLS with 127\.0\.0\.1:\d+: TLS handshake failed: the client offers no TLS version from 1\.2 on/,
  );
  assertMatch(posthorn.log, /info smtp: No session with 127\.0\.0\.1:\d+: TLS handshake failed: no cipher in common/);
});

peerTest(
  "The certificate follows the name that the client asks for, over STARTTLS too, and the first one is the default",
  [
    "openssl",
  ],
  async () => {
    await using folder = await TemporaryFolder.create();
    const authority = await TestAuthority.create(folder.path);
    const names = ["mail.example.org", "mx.example.net", "*.example.com"];
    const certificates = await Promise.all(names.map((name, i) => authority.issue(`c${i}`, [`DNS:${name}`])));
    await using posthorn = await PosthornProcess.start({ config: { tls: { certificates } } });
    const shown = async (...options: readonly string[]): Promise<string> => {
      const { stdout } = await sClient(posthorn.port("mx"), [...STARTTLS, ...options]);
      return await mustRun([programPath("openssl"), "x509", "-noout", "-fingerprint", "-sha256"], { stdin: stdout });
    };
    const prints = await Promise.all(certificates.map(({ chain }) => fileFingerprint(chain)));
    for (
      const [name, i] of [["mail.example.org", 0], ["MX.example.net", 1], ["a.example.com", 2], ["x.test", 0]] as const
    ) {
      assertEquals(await shown("-servername", name), prints[i], name);
    }
    assertEquals(await shown("-noservername"), prints[0]);
    // A session may be resumed after the certificate changed: the client still has the old one then.
    const session = `${folder.path}/session.pem`;
    await sClient(posthorn.port("mx"), [...STARTTLS, "-servername", "mx.example.net", "-sess_out", session]);
    const resume = [...STARTTLS, "-servername", "mx.example.net", "-sess_in", session];
    assertMatch((await sClient(posthorn.port("mx"), resume)).stdout, /^Reused, /m);
    await authority.issue("c1", ["DNS:mx.example.net"]);
    const renewed = await fileFingerprint(`${folder.path}/c1.chain.pem`);
    posthorn.signal("SIGHUP");
    await waitUntil(async () => await shown("-servername", "mx.example.net") === renewed || undefined, {
      what: "the renewed certificate",
      everyMs: 100,
      detail: () => posthorn.log,
    });
    assert(outcome(await sClient(posthorn.port("mx"), resume)).isGoodbye);
  },
);

peerTest(
  "Renegotiation is refused, and a client that goes without close_notify harms nobody",
  ["openssl"],
  async () => {
    await using posthorn = await PosthornProcess.start();
    const port = posthorn.port("mx");
    // In its command mode a line of R asks for a renegotiation.
    const command = [programPath("openssl"), "s_client", "-connect", `127.0.0.1:${port}`, ...STARTTLS, "-tls1_2"];
    const { stderr } = await runCommand(command, { stdin: "R\n", timeoutMs: 20_000 });
    assertMatch(stderr, /no renegotiation/);
    // Killed in the middle of the session, it says nothing.
    const killed = await runCommand(["timeout", "--signal=KILL", "1", ...command, "-ign_eof"], { timeoutMs: 20_000 });
    assertMatch(killed.stdout, /^New, TLSv1\.2/m);
    assert(outcome(await sClient(port, STARTTLS)).isGoodbye);
    assertEquals(/ error /.test(posthorn.log), false, posthorn.log);
  },
);

peerTest("A client certificate is asked for, judged and logged; require lets nobody in without one", [
  "openssl",
], async () => {
  const listeners = [
    { service: "mx" },
    { service: "submission", tls: "implicit" },
    { service: "lmtp", tls: "implicit" },
  ] as const;
  await using posthorn = await PosthornProcess.start({ listeners, isStopped: true });
  const ports = posthorn.listeners.map(({ port }) => port);
  const [mx = 0, submission = 0, lmtp = 0] = ports;
  await posthorn.configure({
    tls: { client_ca: `${CLIENTS}/ca.pem` },
    log: { level: "debug" },
    listeners: [
      { bind: `127.0.0.1:${mx}`, service: "mx", client_certificates: "request" },
      { bind: `127.0.0.1:${submission}`, service: "submission", tls: "implicit", client_certificates: "require" },
      { bind: `127.0.0.1:${lmtp}`, service: "lmtp", tls: "implicit" },
    ],
  });
  await posthorn.restart();
  const certificate = (name: string, ...more: readonly string[]): string[] => [
    ...["-cert", `${CLIENTS}/${name}.pem`, "-key", `${CLIENTS}/${name}.key.pem`],
    ...more,
  ];
  const asked = /^Acceptable client certificate CA names\nCN = Client authority$/m;
  for (const version of ["-tls1_2", "-tls1_3"]) {
    const welcome = await sClient(submission, [version, ...certificate("alice")]);
    assertMatch(welcome.stdout, asked);
    assert(outcome(welcome).isGoodbye);
    const below = certificate("below", "-cert_chain", `${CLIENTS}/middle.pem`);
    assert(outcome(await sClient(submission, [version, ...below])).isGoodbye);
    for (const bad of [[], certificate("forged"), certificate("version1"), certificate("below")]) {
      const refused = await sClient(submission, [version, ...bad], "");
      assert(!/^2[0-9][0-9] /m.test(refused.stdout), refused.stdout);
      // s_client loses what stands between the tickets of TLS 1.3 and the end.
      if (version === "-tls1_2") {
        assertMatch(refused.stdout, /^554 5\.7\.0 A client certificate that we trust is needed/m);
      }
      // Over STARTTLS it was only a question.
      const asked = outcome(await sClient(mx, [...STARTTLS, version, ...bad]));
      assert(asked.isGoodbye || version === "-tls1_3", bad.join(" "));
    }
    assertMatch((await sClient(mx, [...STARTTLS, version, ...certificate("alice")])).stdout, asked);
    assert(!asked.test((await sClient(lmtp, [version])).stdout));
  }
  await posthorn.waitForLog(/No session with .*: it needs a certificate of tls\.client_ca: none was given/);
  await posthorn.waitForLog(/No session with .*: no authority of tls\.client_ca issued it/);
  await posthorn.waitForLog(/The certificate of .* counts for nothing: it is of X\.509 version 1/);
  await posthorn.waitForLog(/has the certificate of CN=Alice, O=Example, SHA-256 /);
});

/** With a pattern: a session whose goodbye matches; without: no session. */
function check(output: string, goodbye: RegExp | undefined): void {
  if (goodbye !== undefined) assertMatch(output, goodbye);
  else assert(!/^2[0-9][0-9] /m.test(output), output);
}

peerTest("A resumed session keeps a client certificate that counts, and gives none to one that does not", [
  "openssl",
], async () => {
  await using folder = await TemporaryFolder.create();
  const listeners = [{ service: "submission", tls: "implicit" }] as const;
  await using posthorn = await PosthornProcess.start({ listeners, isStopped: true });
  const port = posthorn.port("submission", "implicit");
  const bind = `127.0.0.1:${port}`;
  await posthorn.configure({
    tls: { client_ca: `${CLIENTS}/ca.pem` },
    listeners: [{ bind, service: "submission", tls: "implicit", client_certificates: "require" }],
  });
  await posthorn.restart();
  for (const version of ["-tls1_2", "-tls1_3"]) {
    for (
      const [name, quit, expected] of [["alice", "QUIT\r\n", /^221 2\.0\.0 /m], [
        "forged",
        "",
        undefined,
      ]] as const
    ) {
      const session = `${folder.path}/${name}${version}`;
      const certificate = ["-cert", `${CLIENTS}/${name}.pem`, "-key", `${CLIENTS}/${name}.key.pem`];
      check((await sClient(port, [version, ...certificate, "-sess_out", session], quit)).stdout, expected);
      // TLS 1.3 has tickets only where the client read on; where there is none, there is nothing to resume.
      const hasSession = await Deno.stat(session).then(() => true, () => false);
      if (!hasSession) continue;
      const resumed = await sClient(port, [version, "-sess_in", session], quit);
      assertMatch(resumed.stdout, /^Reused, /m);
      check(resumed.stdout, expected);
    }
  }
});
