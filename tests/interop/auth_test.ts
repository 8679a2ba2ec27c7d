/** Logins by programs of others: swaks, msmtp with GNU SASL, Python, and Postfix with Cyrus SASL. */

import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { startCertified } from "../support/interop/certified.ts";
import { fileFingerprint, TestAuthority } from "../support/interop/certificates.ts";
import { type CommandResult, mustRun, runCommand } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { loginWithScramPlus } from "../support/interop/scram_plus.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const ALICE = { address: "alice@example.org", password: "correct, horse=battery" };
const MESSAGE = `From: ${ALICE.address}\nTo: ${ALICE.address}\nSubject: hello\n\nHello\n`;

/** The command of swaks that logs in, and no more. */
function swaks(port: number, caFile: string, mechanism: string, password: string): string[] {
  return [
    programPath("swaks"),
    ...["--server", "127.0.0.1", "--port", `${port}`, "--tls", "--tls-verify", "--tls-ca-path", caFile],
    ...["--ehlo", "client.example", "--from", ALICE.address, "--to", ALICE.address, "--quit-after", "AUTH"],
    ...["--auth", mechanism, "--auth-user", ALICE.address, "--auth-password", password],
  ];
}

/** Sends a message with msmtp. */
async function msmtp(folder: string, port: number, caFile: string, lines: readonly string[]): Promise<CommandResult> {
  const file = `${folder}/msmtprc`;
  const settings = [
    "account default",
    ...["host 127.0.0.1", `port ${port}`, "domain client.example", `from ${ALICE.address}`],
    ...["tls on", "tls_starttls on", `tls_trust_file ${caFile}`],
    ...lines,
  ];
  await Deno.writeTextFile(file, settings.join("\n") + "\n", { mode: 0o600 });
  return await runCommand([programPath("msmtp"), "--debug", `--file=${file}`, ALICE.address], { stdin: MESSAGE });
}

peerTest(
  "swaks logs in with the mechanisms that are offered, and leaves those that are not; forced ones are refused with 504",
  ["swaks", "Net::SSLeay", "Authen::SASL", "Authen::NTLM", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE] });
    await using _ = posthorn;
    const port = posthorn.port("submission");
    for (const mechanism of ["PLAIN", "LOGIN"]) {
      const right = await runCommand(swaks(port, caFile, mechanism, ALICE.password));
      assertEquals(right.code, 0, right.stdout + right.stderr);
      assertStringIncludes(right.stdout, "AUTH SCRAM-SHA-256 PLAIN LOGIN");
      assertStringIncludes(right.stdout, "235 2.7.0 Authentication succeeded");
    }
    const known = await mustRun([programPath("swaks"), "--support"]);
    const others = ["CRAM-MD5", "CRAM-SHA1", "DIGEST-MD5", "NTLM"];
    using dialog = await SmtpDialog.openTls(posthorn.port("submission", "implicit"), caFile);
    for (const mechanism of others) {
      assertStringIncludes(known, `AUTH ${mechanism} supported`);
      const left = await runCommand(swaks(port, caFile, mechanism, ALICE.password));
      assertEquals(left.code, 28, left.stdout);
      assertMatch(left.stderr, /Auth not attempted, requested type not available/);
      assertMatch(await dialog.command(`AUTH ${mechanism}`), /^504 5\.5\.4 /);
    }
  },
);

peerTest(
  "msmtp logs in with SCRAM-SHA-256 by GNU SASL, and is refused with a wrong password",
  ["msmtp", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE] });
    await using _ = posthorn;
    const login = (password: string): Promise<CommandResult> =>
      msmtp(folder.path, posthorn.port("submission"), caFile, [
        ...["auth scram-sha-256", `user ${ALICE.address}`, `password "${password}"`],
      ]);
    const sent = await login(ALICE.password);
    assertEquals(sent.code, 0, sent.stdout + sent.stderr);
    assertStringIncludes(sent.stdout, "--> AUTH SCRAM-SHA-256");
    assertStringIncludes(sent.stdout, "235 2.7.0 Authentication succeeded");
    await posthorn.waitForLog(/protocol=ESMTPSA login=alice@example\.org/);
    const refused = await login("correct horse");
    assertFalse(refused.code === 0);
    assertMatch(refused.stdout, /^<-- 535 5\.7\.8 Authentication failed: wrong name or password/m);
    await posthorn.waitForLog(/Login as alice@example\.org from 127\.0\.0\.1 refused: wrong password/);
    assertFalse(posthorn.log.includes("horse"), "a password must not be logged");
  },
);

peerTest("A verifier that GNU SASL made logs in, and an account without one keeps SCRAM away from all", [
  "msmtp",
  "gsasl",
  "openssl",
], async () => {
  await using folder = await TemporaryFolder.create();
  const { posthorn, caFile } = await startCertified(folder.path, { accounts: [ALICE] });
  await using _ = posthorn;
  const made = await mustRun([
    ...[programPath("gsasl"), "--mkpasswd", "--mechanism", "SCRAM-SHA-256", "--password", "of GNU"],
    ...["--iteration-count", "8192"],
  ]);
  const accounts = `${posthorn.folder}/accounts.yaml`;
  await Deno.writeTextFile(accounts, `${ALICE.address}: { scram: "${made.trim()}" }\n`);
  await posthorn.restart();
  const port = posthorn.port("submission");
  const lines = ["auth scram-sha-256", `user ${ALICE.address}`, "password of GNU"];
  const sent = await msmtp(folder.path, port, caFile, lines);
  assertEquals(sent.code, 0, sent.stdout + sent.stderr);
  const hash = "$scrypt$ln=15,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
  await Deno.writeTextFile(accounts, `bob@example.org: { password: "${hash}" }\n`, { append: true });
  const reason = "SCRAM is not offered: bob@example.org has no usable SCRAM verifier";
  assertStringIncludes((await posthorn.run(["check"])).stderr, reason);
  posthorn.signal("SIGHUP");
  await posthorn.waitForLog(new RegExp(reason));
  using dialog = await SmtpDialog.openTls(posthorn.port("submission", "implicit"), caFile);
  const offered = await dialog.command("EHLO client.example");
  assertStringIncludes(offered, "AUTH PLAIN LOGIN");
});

peerTest("A Python client binds to the certificate with SCRAM-SHA-256-PLUS; another type of binding is refused", [
  "python",
  "openssl",
], async () => {
  await using folder = await TemporaryFolder.create();
  const { posthorn, caFile } = await startCertified(folder.path, {
    accounts: [ALICE],
    config: { auth: { mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] } },
  });
  await using _ = posthorn;
  const login = {
    ...{ host: "127.0.0.1", port: posthorn.port("submission"), caFile, username: "alice@example.org" },
    password: ALICE.password,
  };
  const bound = await loginWithScramPlus(login);
  assertEquals(bound.stdout, "235 logged in\n", bound.stderr);
  const other = await loginWithScramPlus({ ...login, binding: "tls-exporter" });
  assertEquals(other.code, 1);
  assertStringIncludes(other.stderr, "535 5.7.8 Authentication failed: unsupported-channel-binding-type");
});

peerTest("msmtp logs in with EXTERNAL by a certificate that has the address, or whose fingerprint the account lists", [
  "msmtp",
  "openssl",
], async () => {
  await using folder = await TemporaryFolder.create();
  const authority = await TestAuthority.create(folder.path);
  const server = await authority.issue("mail.example.org", ["DNS:mail.example.org", "IP:127.0.0.1"]);
  const clients = [
    await authority.issue("alice", [`email:${ALICE.address}`], "clientAuth"),
    await authority.issue("printer", ["DNS:printer.example.org"], "clientAuth"),
    await authority.issue("stranger", ["email:stranger@example.org"], "clientAuth"),
  ];
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "submission", clientCertificates: "request" }],
    config: { tls: { certificates: [server], client_ca: authority.file } },
    isStopped: true,
  });
  const fingerprint = /=([0-9A-F:]+)/.exec(await fileFingerprint(clients[1]?.chain ?? ""))?.[1];
  await Deno.writeTextFile(
    `${posthorn.folder}/accounts.yaml`,
    `${ALICE.address}: { certificates: ["${fingerprint}"] }\n`,
  );
  await posthorn.restart();
  const results: string[] = [];
  for (const { chain, key } of clients) {
    const { code, stdout, stderr } = await msmtp(folder.path, posthorn.port("submission"), authority.file, [
      ...["auth external", `user ${ALICE.address}`, `tls_cert_file ${chain}`, `tls_key_file ${key}`],
    ]);
    const offer = /AUTH .*EXTERNAL/.test(stdout.replace(/--> AUTH.*/g, "")) ? "offered" : "not offered";
    results.push(`${offer} ${code === 0 ? "sent" : "refused"}`);
    assert(code === 0 || offer === "not offered", stdout + stderr);
  }
  assertEquals(results, ["offered sent", "offered sent", "not offered refused"]);
});

peerTest(
  "Postfix relays through submission with SCRAM-SHA-256 by Cyrus SASL",
  ["root", "unshare", "nsenter", "ip", "postfix", "cyrus-scram", "openssl", "swaks"],
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
    for (const name of ["postfix", "tls"]) await Deno.mkdir(`${folder}/${name}`);
    const authority = await TestAuthority.create(`${folder}/tls`);
    const namespace = stack.use(await Namespace.create());
    const posthorn = stack.use(
      await PosthornProcess.start({
        prefix: namespace.prefix,
        listeners: [{ service: "submission", host: "127.0.0.3", port: 587 }],
        accounts: [ALICE],
        config: { tls: { certificates: [await authority.issue("mail.example.org", ["DNS:mail.example.org"])] } },
      }),
    );
    await Deno.writeTextFile(`${folder}/login`, `[127.0.0.3]:587 ${ALICE.address}:${ALICE.password}\n`);
    stack.use(
      await Postfix.start({
        namespace,
        folder: `${folder}/postfix`,
        address: "127.0.0.2",
        hostname: "mx.postfix.test",
        domain: "postfix.test",
        mailboxes: ["bob"],
        certificate: await authority.issue("mx.postfix.test", ["DNS:mx.postfix.test"]),
        settings: [
          ...["relayhost = [127.0.0.3]:587", "smtp_tls_security_level = encrypt", "smtp_sasl_auth_enable = yes"],
          ...[`smtp_sasl_password_maps = texthash:${folder}/login`, "smtp_sasl_security_options = noanonymous"],
          ...["smtp_sasl_tls_security_options = noanonymous", "smtp_sasl_mechanism_filter = scram-sha-256"],
        ],
      }),
    );
    await mustRun([
      ...[...namespace.prefix, programPath("swaks"), "--server", "127.0.0.2", "--ehlo", "client.example"],
      ...["--from", ALICE.address, "--to", ALICE.address, "--header", "Subject: by Postfix"],
    ]);
    await posthorn.waitForLog(/Accepted .* from <alice@example\.org> .*protocol=ESMTPSA login=alice@example\.org/);
  },
);
