/** Proxies say by XCLIENT whom they speak for: swaks plays one, and two servers of Dovecot are some. */

import { assertEquals, assertMatch } from "@std/assert";
import { type CommandResult, mustRun, runCommand } from "../support/interop/command.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { Dovecot } from "../support/interop/dovecot.ts";
import { freePort } from "../support/interop/free_port.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest, programPath } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };
const CAROL = { address: "carol@example.org", password: "another password" };
const PROXY = ["127.0.0.1"];

peerTest("swaks names the client it speaks for, which may relay where its own address may", ["swaks"], async () => {
  await using sink = new SmtpSink();
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "mx" }],
    accounts: [ALICE],
    config: {
      xclient_from: PROXY,
      relay_from: ["192.0.2.0/24", "2001:db8::/32"],
      limits: { connections_per_ip: 1 },
      routes: [{ domain: "remote.example", via: `smtp://127.0.0.1:${sink.port}` }],
    },
  });
  const send = async (to: string, ...words: readonly string[]): Promise<CommandResult> =>
    await runCommand([
      programPath("swaks"),
      ...["--server", `127.0.0.1:${posthorn.port("mx")}`, "--from", "x@elsewhere.example", "--to", to],
      ...["--helo", "proxy.example", ...words],
    ]);
  // Others of the proxy's connections stay open meanwhile: they are not those of one client.
  using _first = await SmtpDialog.open(posthorn.port("mx"));
  using _second = await SmtpDialog.open(posthorn.port("mx"));

  const far = ["--xclient-addr", "203.0.113.9", "--xclient-name", "far.example", "--xclient-helo", "far.example"];
  const stranger = await send("bob@remote.example", ...far);
  assertMatch(stranger.stdout, /^<\*\* 550 5\.7\.1 This server does not relay for you$/m);
  const local = await send(ALICE.address, ...far, "--xclient-port", "4711");
  assertEquals(local.code, 0, local.stdout);
  const [arrived] = await posthorn.maildir(ALICE.address).waitFor(1, { detail: () => posthorn.log });
  assertMatch(arrived?.text ?? "", /^Received: from far\.example \(\[203\.0\.113\.9\]\)\r$/m);

  for (const address of ["192.0.2.7", "IPV6:2001:db8::7"]) {
    const near = await send("bob@remote.example", "--xclient-addr", address, "--xclient-helo", "near.example");
    assertEquals(near.code, 0, near.stdout);
  }
  await posthorn.waitForEmptyQueue();
  assertMatch(posthorn.log, /Accepted .* 203\.0\.113\.9:4711 /);
  assertEquals(sink.messages.map(({ text }) => /^Received: from (.*)\r$/m.exec(text)?.[1]), [
    "near.example ([192.0.2.7])",
    "near.example ([IPv6:2001:db8::7])",
  ]);

  await posthorn.configure({ xclient_from: ["198.51.100.1"], relay_from: [] });
  await posthorn.restart();
  const unlisted = await send("bob@remote.example", "--xclient-addr", "192.0.2.7", "--xclient-optional");
  assertMatch(unlisted.stdout, /^<\*\* 550 5\.7\.1 This server does not relay for you$/m);
  assertEquals(/XCLIENT/.test(unlisted.stdout), false, "it is not offered");
});

peerTest("Dovecot's submission server hands on who logged in, and from where, as a trusted relay client", [
  "root",
  "dovecot",
  "dovecot-submissiond",
], async () => {
  await using folder = await TemporaryFolder.create({ isPublic: true });
  await mustRun(["chmod", "777", folder.path]);
  await using posthorn = await PosthornProcess.start({
    listeners: [{ service: "submission" }],
    accounts: [ALICE, CAROL],
    config: { xclient_from: PROXY },
  });
  const port = freePort();
  const [uid, gid] = [await mustRun(["id", "-u", "nobody"]), await mustRun(["id", "-g", "nobody"])];
  await using dovecot = await Dovecot.run(
    folder.path,
    port,
    `protocols = submission
hostname = submission.example.org
mail_location = maildir:${folder.path}/mail
submission_relay_host = 127.0.0.1
submission_relay_port = ${posthorn.port("submission")}
submission_relay_ssl = no
submission_relay_trusted = yes
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=${uid.trim()} gid=${gid.trim()} home=${folder.path}/home
}
service submission-login {
  inet_listener submission {
    port = ${port}
  }
  inet_listener submissions {
    port = 0
  }
}
`,
  );
  const logIn = async (): Promise<SmtpDialog> => {
    const dialog = await SmtpDialog.open(dovecot.port);
    assertMatch(await dialog.command(`AUTH PLAIN ${btoa(`\0${ALICE.address}\0secret`)}`), /^235 /, dovecot.log);
    return dialog;
  };
  const detail = (): string => `${dovecot.log}\n${posthorn.log}`;
  using refused = await logIn();
  await refused.command("EHLO laptop.example");
  assertMatch(
    await refused.command(`MAIL FROM:<${CAROL.address}>`),
    /^550 5\.7\.1 .*not one of your addresses/,
    detail(),
  );
  const message = awkwardMessage({ from: ALICE.address, to: CAROL.address, subject: "as a trusted client" });
  // Over another connection: Dovecot 2.3.19 breaks off when commands are pipelined after a MAIL that was refused.
  using dialog = await logIn();
  await dialog.command("EHLO laptop.example");
  assertMatch(await dialog.send(ALICE.address, [CAROL.address], message.octets), /^250 2\.0\.0 Queued as /, detail());
  const [arrived] = await posthorn.maildir(CAROL.address).waitFor(1, { detail });
  const received = traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array())
    .filter((field) => field.startsWith("Received:"));
  assertMatch(received[0] ?? "", /\(\[127\.0\.0\.1\]\) by mail\.example\.org \(posthorn\) with ESMTPA /);
  await posthorn.waitForLog(/: Accepted .* login=alice@example\.org/);
});

peerTest("Dovecot's LMTP proxy hands on the address of its client", ["root", "dovecot", "dovecot-lmtpd"], async () => {
  await using folder = await TemporaryFolder.create({ isPublic: true });
  await using posthorn = await PosthornProcess.start({
    accounts: [ALICE],
    listeners: [{ service: "lmtp" }],
    config: { xclient_from: PROXY },
  });
  const port = freePort();
  await using dovecot = await Dovecot.run(
    folder.path,
    port,
    `protocols = lmtp
hostname = proxy.example.org
lmtp_proxy = yes
passdb {
  driver = static
  args = proxy=y host=127.0.0.1 port=${posthorn.port("lmtp")} protocol=lmtp nopassword=y
}
service lmtp {
  inet_listener lmtp {
    port = ${port}
  }
}
`,
  );
  const message = awkwardMessage({ from: "x@elsewhere.example", to: ALICE.address, subject: "through the proxy" });
  // Any address of loopback will do to tell the client from the proxy.
  const script = "import smtplib, sys\n" +
    `with smtplib.LMTP("127.0.0.1", ${port}, "client.example", ("127.0.0.77", 0)) as lmtp:\n` +
    '    lmtp.sendmail(sys.argv[1], sys.argv[2:], sys.stdin.buffer.read(), ["BODY=8BITMIME"])\n';
  await mustRun([programPath("python"), "-c", script, "x@elsewhere.example", ALICE.address], { stdin: message.octets });
  const detail = (): string => `${dovecot.log}\n${posthorn.log}`;
  const [arrived] = await posthorn.maildir(ALICE.address).waitFor(1, { detail });
  const received = traceFieldsBefore(message.octets, arrived?.octets ?? new Uint8Array())
    .filter((field) => field.startsWith("Received:"));
  assertMatch(received[0] ?? "", /^Received: from \S+ \(\[127\.0\.0\.77\]\) by mail\.example\.org .*with LMTP /);
});
