/** posthorn forwards mail to a Postfix that it finds by MX, and what that one thinks of it comes back to the sender. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { TestAuthority } from "../support/interop/certificates.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { MAIL_CLIENTS } from "../support/interop/mail_clients.ts";
import { latin1 } from "../support/interop/maildir.ts";
import { awkwardMessage, type SampleMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { type Need, peerTest } from "../support/interop/peers.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const NEEDS: readonly Need[] = [
  "root",
  "unshare",
  "nsenter",
  "ip",
  "postfix",
  "knotd",
  "keymgr",
  "kdig",
  "unbound",
  "openssl",
  "swaks",
  "Net::SSLeay",
];
const POSTFIX_ADDRESS = "127.0.0.2";
const POSTHORN_ADDRESS = "127.0.0.3";
const RECORDS = [
  "postfix MX 10 mx.postfix",
  `mx.postfix A ${POSTFIX_ADDRESS}`,
  "posthorn MX 10 mx.posthorn",
  `mx.posthorn A ${POSTHORN_ADDRESS}`,
];
/** Longer, when rewritten, than the 64 octets that every server takes. */
const SENDER = "bounces-about-the-newsletter-of-november@postfix.test";

peerTest(
  "Postfix takes forwarded mail, and its refusal, its later bounce and its way back to us all end at the sender",
  NEEDS,
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
    for (const name of ["postfix", "dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
    const authority = await TestAuthority.create(`${folder}/tls`);
    const namespace = stack.use(await Namespace.create());
    stack.use(await DnsLab.start(namespace, `${folder}/dns`, RECORDS));
    const postfix = stack.use(
      await Postfix.start({
        namespace,
        folder: `${folder}/postfix`,
        address: POSTFIX_ADDRESS,
        hostname: "mx.postfix.test",
        domain: "postfix.test",
        mailboxes: ["dave", SENDER.slice(0, SENDER.indexOf("@"))],
        certificate: await authority.issue("mx.postfix.test", ["DNS:mx.postfix.test"]),
        settings: [
          "virtual_alias_maps = inline:{ later@postfix.test=x@nowhere.test back@postfix.test=back@posthorn.test }",
        ],
      }),
    );
    const posthorn = stack.use(
      await PosthornProcess.start({
        prefix: namespace.prefix,
        listeners: [{ service: "mx", host: POSTHORN_ADDRESS, port: 25 }],
        config: {
          hostname: "mx.posthorn.test",
          domains: { "posthorn.test": {} },
          aliases: Object.fromEntries(
            ["dave", "nobody", "later", "back"].map((name) => [`${name}@posthorn.test`, `${name}@postfix.test`]),
          ),
          queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
        },
      }),
    );
    const detail = async (): Promise<string> => `${await postfix.log()}\n${posthorn.log}`;
    const [swaks] = MAIL_CLIENTS;
    assert(swaks);
    const send = async (localPart: string): Promise<SampleMessage> => {
      const to = `${localPart}@posthorn.test`;
      const message = awkwardMessage({ from: SENDER, to, subject: `for ${localPart}` });
      const sent = await swaks.send({
        prefix: namespace.prefix,
        host: POSTHORN_ADDRESS,
        port: 25,
        security: "plain",
        caFile: "",
        from: SENDER,
        to,
        content: message.octets,
        folder,
      });
      assertEquals(sent.code, 0, sent.stdout);
      return message;
    };

    const message = await send("dave");
    const [arrived] = await postfix.maildir("dave").waitFor(1, { detail: () => posthorn.log });
    assert(arrived);
    // Postfix keeps lines with LF.
    const withLf = (text: string): string => text.replaceAll("\r\n", "\n");
    assert(withLf(arrived.text).endsWith(withLf(latin1(message.octets))), arrived.text);
    const local = SENDER.replace("@postfix.test", "");
    assertMatch(arrived.text, new RegExp(`^Return-Path: <SRS0=.{8}=..=postfix\\.test=${local}@posthorn\\.test>$`, "m"));
    assertMatch(arrived.text, /^Delivered-To: dave@posthorn\.test$/m);

    const reports = postfix.maildir(local);
    for (
      const [index, localPart, status] of [[1, "nobody", "5.1.1"], [2, "later", "5.4.4"], [3, "back", "5.4.6"]] as const
    ) {
      await send(localPart);
      const found = await reports.waitFor(index, { detail: () => posthorn.log }).catch(async (error) => {
        throw new Error(await detail(), { cause: error });
      });
      const report = found.find(({ text }) =>
        text.includes(`\nFinal-Recipient: rfc822; ${localPart}@`) || text.includes(`for ${localPart}`)
      );
      assertMatch(report?.text ?? "", new RegExp(`^Status: ${status.replaceAll(".", "\\.")}`, "m"), await detail());
    }
    await posthorn.waitForEmptyQueue();
    assertEquals((await reports.names()).length, 3);
  },
);
