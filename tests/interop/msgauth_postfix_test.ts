/** Postfix with OpenDKIM and OpenDMARC as its milters, through a real DNS server. */

import { assert, assertMatch } from "@std/assert";
import { TestAuthority } from "../support/interop/certificates.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { milterSettings, startOpenDkim, startOpenDmarc, zoneText } from "../support/interop/milters.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { type Need, peerTest, programPath } from "../support/interop/peers.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";

const NEEDS: readonly Need[] = [
  "root",
  "unshare",
  "nsenter",
  "ip",
  "postfix",
  "opendkim",
  "opendmarc",
  "knotd",
  "keymgr",
  "kdig",
  "knotc",
  "unbound",
  "openssl",
  "python",
];
const POSTFIX_ADDRESS = "127.0.0.2";
const HOSTNAME = "mx.postfix.test";

/** Submits: what it sends is signed. The other one is a stranger, and verified. */
const OWN_CLIENT = "198.51.100.9";
const STRANGER = "198.51.100.8";
const RECORDS = [
  "postfix MX 10 mx.postfix",
  `mx.postfix A ${POSTFIX_ADDRESS}`,
  `postfix TXT "v=spf1 ip4:${OWN_CLIENT} -all"`,
  '_dmarc.postfix TXT "v=DMARC1; p=reject"',
];
/** Sends standard input from one loopback address; prints the last reply. */
const SCRIPT = `
import smtplib, sys
client, sender, recipient = sys.argv[1:]
smtp = smtplib.SMTP("${POSTFIX_ADDRESS}", 25, local_hostname="client.test", timeout=30, source_address=(client, 0))
try:
    smtp.sendmail(sender, recipient, sys.stdin.buffer.read(), mail_options=["BODY=8BITMIME"])
    print("250")
except smtplib.SMTPDataError as error:
    print(error.smtp_code, error.smtp_error.decode())
smtp.quit()
`;
const MESSAGE = [
  "From: Bob <bob@postfix.test>",
  "To: carol@postfix.test",
  "Subject: Gr\u00fc\u00dfe",
  "Date: Fri, 27 Nov 2026 10:00:00 +0000",
  "Message-ID: <1@postfix.test>",
  "",
  "Body with  spaces \t and umlauts \u00e4\u00f6\u00fc",
  "",
].join("\r\n");

peerTest(
  "Postfix signs with OpenDKIM, believes its own signature, and refuses by DMARC what has none",
  NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
    for (const name of ["postfix", "dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
    const authority = await TestAuthority.create(`${folder}/tls`);
    const namespace = stack.use(await Namespace.create());
    for (const address of [OWN_CLIENT, STRANGER]) {
      await namespace.run([programPath("ip"), "address", "add", `${address}/32`, "dev", "lo"]);
    }
    const dns = stack.use(await DnsLab.start(namespace, `${folder}/dns`, RECORDS));
    const dkim = stack.use(
      await startOpenDkim({
        namespace,
        folder: `${folder}/opendkim`,
        hostname: HOSTNAME,
        keys: [{ domain: "postfix.test", selector: "s1" }],
        signsFor: [OWN_CLIENT],
      }),
    );
    for (const { name, value } of dkim.records) await dns.change(`${name}.`, "TXT", zoneText(value));
    const dmarc = stack.use(
      await startOpenDmarc({ namespace, folder: `${folder}/opendmarc`, hostname: HOSTNAME, ignores: [OWN_CLIENT] }),
    );
    const postfix = stack.use(
      await Postfix.start({
        namespace,
        folder: `${folder}/postfix`,
        address: POSTFIX_ADDRESS,
        hostname: HOSTNAME,
        domain: "postfix.test",
        mailboxes: ["carol"],
        certificate: await authority.issue(HOSTNAME, [`DNS:${HOSTNAME}`]),
        settings: milterSettings([dkim, dmarc]),
      }),
    );
    const detail = async (): Promise<string> => `${await postfix.log()}\n${dkim.log()}\n${dmarc.log()}`;
    const send = (client: string, content: string): Promise<string> =>
      namespace.run([programPath("python"), "-c", SCRIPT, client, "bob@postfix.test", "carol@postfix.test"], {
        stdin: new TextEncoder().encode(content),
      });

    assertMatch(await send(OWN_CLIENT, MESSAGE), /^250/, await detail());
    const [signed] = await postfix.maildir("carol").waitFor(1, { detail: () => dkim.log() });
    assert(signed);
    assertMatch(signed.text, /^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed\/relaxed; d=postfix\.test; s=s1;/m);

    const content = new TextDecoder().decode(signed.octets).replace(/^[^]*?(?=DKIM-Signature:)/, "");
    assertMatch(await send(STRANGER, content.replace(/\r?\n/g, "\r\n")), /^250/, await detail());
    const [, verified] = await postfix.maildir("carol").waitFor(2, { detail: () => dkim.log() });
    const results = Array.from(verified?.text.matchAll(/^Authentication-Results: [^]*?\n(?![ \t])/gm) ?? [], String);
    assertMatch(results.join(""), /mx\.postfix\.test;[^]*dkim=pass/, await detail());
    assertMatch(results.join(""), /dmarc=pass/, await detail());

    assertMatch(
      await send(STRANGER, MESSAGE),
      /^550 5\.7\.1 rejected by DMARC policy for postfix\.test/,
      await detail(),
    );
  },
);
