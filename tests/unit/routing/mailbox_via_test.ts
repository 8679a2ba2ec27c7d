import { assert, assertEquals } from "@std/assert";
import type { MailboxVia } from "../../../lib/config/config.ts";
import { parseMailbox } from "../../../lib/mail/mailbox.ts";
import { createRouter } from "../../../lib/routing/router.ts";

Deno.test("Mail for accounts goes where mailboxes.via says, or the account itself; unknown recipients stay unknown", () => {
  const lmtp: MailboxVia = { scheme: "lmtp", host: "", port: 0, socketPath: "/run/lmtp", tls: "off" };
  const app: MailboxVia = { scheme: "https", url: "https://app.example/mail", secret: "0123456789abcdef" };
  const router = createRouter({
    hostname: "mail.example.org",
    domains: new Map([["example.org", { name: "example.org", dkim: [] }]]),
    recipientDelimiter: "+",
    aliases: new Map(),
    routes: [{ domain: "app.example", via: app }],
    auth: {},
    mailboxes: { via: lmtp },
  }, [
    { address: "alice@example.org" },
    { address: "bob@example.org", via: app },
    { address: "carol@example.org", via: "maildir" },
  ]);
  const server = { kind: "smarthost", smarthost: lmtp, key: "lmtp:unix:/run/lmtp" };
  const webhook = { kind: "webhook", webhook: app, key: "https://app.example/mail" };
  const cases: [string, unknown, boolean][] = [
    ["alice@example.org", server, false],
    ["alice+lists@example.org", server, false],
    ["bob@example.org", webhook, true],
    ["carol@example.org", { kind: "maildir", account: "carol@example.org", key: "maildir:carol@example.org" }, false],
    ["anybody@app.example", webhook, true],
  ];
  for (const [address, hop, takesBinary] of cases) {
    assertEquals<unknown>(router.nextHop(address), { kind: "hop", hop }, address);
    assertEquals(router.takesBinary(address), takesBinary, address);
  }
  const nobody = parseMailbox("nobody@example.org");
  assert(nobody !== undefined);
  assertEquals(router.resolveRecipient(nobody).kind, "unknown");
});
