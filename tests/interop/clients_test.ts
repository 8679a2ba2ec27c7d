/** Real mail clients hand in messages, which appear in the Maildir octet for octet. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { startCertified } from "../support/interop/certified.ts";
import { SmtpDialog } from "../support/interop/dialog.ts";
import { MAIL_CLIENTS, type Submission } from "../support/interop/mail_clients.ts";
import { traceFieldsBefore } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { peerTest } from "../support/interop/peers.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const ALICE = { address: "alice@example.org", password: "correct horse battery staple" };

interface Case {
  readonly title: string;
  readonly service: "mx" | "submission";
  readonly security: Submission["security"];
  readonly mechanism?: "PLAIN" | "LOGIN";
  /** The `with` clause of Received (RFC 3848). */
  readonly protocol: string;
}

const CASES: readonly Case[] = [
  { title: "to the MX port in the clear", service: "mx", security: "plain", protocol: "ESMTP" },
  { title: "to the MX port with STARTTLS", service: "mx", security: "starttls", protocol: "ESMTPS" },
  {
    title: "to submission with STARTTLS and AUTH PLAIN",
    service: "submission",
    security: "starttls",
    mechanism: "PLAIN",
    protocol: "ESMTPSA",
  },
  {
    title: "to submission with STARTTLS and AUTH LOGIN",
    service: "submission",
    security: "starttls",
    mechanism: "LOGIN",
    protocol: "ESMTPSA",
  },
  {
    title: "to submission with implicit TLS and AUTH PLAIN",
    service: "submission",
    security: "implicit",
    mechanism: "PLAIN",
    protocol: "ESMTPSA",
  },
  {
    title: "to submission with implicit TLS and AUTH LOGIN",
    service: "submission",
    security: "implicit",
    mechanism: "LOGIN",
    protocol: "ESMTPSA",
  },
];

for (const client of MAIL_CLIENTS) {
  peerTest(
    `${client.name} sends with and without TLS and AUTH, and the octets arrive`,
    [...client.needs, "openssl"],
    async () => {
      await using folder = await TemporaryFolder.create();
      const started = await startCertified(folder.path, { accounts: [ALICE] });
      await using posthorn = started.posthorn;
      const maildir = posthorn.maildir(ALICE.address);
      let seen = new Set<string>();
      for (const each of CASES) {
        const message = awkwardMessage({
          from: ALICE.address,
          to: ALICE.address,
          subject: `${client.name} ${each.title}`,
        });
        const result = await client.send({
          host: "127.0.0.1",
          port: posthorn.port(each.service, each.security === "implicit" ? "implicit" : undefined),
          security: each.security,
          caFile: started.caFile,
          ...(each.mechanism === undefined
            ? {}
            : { login: { mechanism: each.mechanism, username: ALICE.address, password: ALICE.password } }),
          from: ALICE.address,
          to: ALICE.address,
          content: message.octets,
          folder: folder.path,
        });
        assertEquals(result.code, 0, `${each.title}\n${result.stdout}${result.stderr}\n${posthorn.log}`);
        const all = await maildir.waitFor(seen.size + 1, { detail: () => posthorn.log });
        const arrived = all.find(({ name }) => !seen.has(name));
        assert(arrived);
        const trace = traceFieldsBefore(message.octets, arrived.octets);
        assertMatch(trace[0] ?? "", /^Return-Path: <alice@example\.org>$/i);
        const received = trace.find((field) => /^Received:/i.test(field)) ?? "";
        assertMatch(received, new RegExp(`\\bby mail\\.example\\.org\\b.*\\bwith ${each.protocol}\\b`), each.title);
        seen = new Set(all.map(({ name }) => name));
      }
      assertEquals(await maildir.names("tmp"), []);
    },
  );
}

peerTest(
  "A wrong password is refused with 535 5.7.8 by AUTH PLAIN and AUTH LOGIN",
  ["swaks", "Net::SSLeay", "openssl"],
  async () => {
    await using folder = await TemporaryFolder.create();
    const started = await startCertified(folder.path, { accounts: [ALICE] });
    await using posthorn = started.posthorn;
    const [swaks] = MAIL_CLIENTS;
    assert(swaks);
    for (const mechanism of ["PLAIN", "LOGIN"] as const) {
      const result = await swaks.send({
        host: "127.0.0.1",
        port: posthorn.port("submission"),
        security: "starttls",
        caFile: started.caFile,
        login: { mechanism, username: ALICE.address, password: "Tr0ub4dor&3" },
        from: ALICE.address,
        to: ALICE.address,
        content: awkwardMessage({ from: ALICE.address, to: ALICE.address, subject: "no" }).octets,
        folder: folder.path,
      });
      assertMatch(result.stdout, /^<\*\*\s+535 5\.7\.8 |^<~\*\s+535 5\.7\.8 /m, mechanism);
      assert(result.code !== 0);
    }
    assertEquals(await posthorn.maildir(ALICE.address).names(), []);
    assert(!posthorn.log.includes("Tr0ub4dor&3"), "the password must not be logged");
  },
);

Deno.test("Submission offers and takes no AUTH before TLS, and no mail without it", async () => {
  await using posthorn = await PosthornProcess.start({ accounts: [ALICE] });
  using dialog = await SmtpDialog.open(posthorn.port("submission"));
  const offered = await dialog.command("EHLO client.example");
  assert(offered.includes("STARTTLS"), offered);
  assert(!offered.includes("AUTH"), offered);
  assertMatch(await dialog.command(`AUTH PLAIN ${btoa(`\0${ALICE.address}\0${ALICE.password}`)}`), /^(530|538) 5\.7\./);
  assertMatch(await dialog.command(`MAIL FROM:<${ALICE.address}>`), /^530 5\.7\.0 /);
});

Deno.test("The MX port relays nothing for strangers", async () => {
  await using posthorn = await PosthornProcess.start({ accounts: [ALICE] });
  using dialog = await SmtpDialog.open(posthorn.port("mx"));
  assertMatch(await dialog.command("MAIL FROM:<stranger@elsewhere.example>"), /^250 /);
  for (
    const recipient of [
      "victim@elsewhere.example",
      "victim%elsewhere.example@mail.example.org",
      "@example.org:victim@elsewhere.example",
      '"victim@elsewhere.example"',
      "nobody@example.org",
    ]
  ) {
    assertMatch(await dialog.command(`RCPT TO:<${recipient}>`), /^5\d\d 5\./, recipient);
  }
});
