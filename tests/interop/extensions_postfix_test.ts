/** What senders demand of the way, towards a Postfix that promises none of it, and by MX under DNSSEC. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { readWithFlufl } from "../support/interop/bounce_parsers.ts";
import { TestAuthority } from "../support/interop/certificates.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { latin1Octets } from "../support/interop/maildir.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest } from "../support/interop/peers.ts";
import { Postfix } from "../support/interop/postfix.ts";
import { readWithPython, sendWithSmtplib, type SmtplibMessage } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { PosthornProcess } from "../support/posthorn_process.ts";

const ALICE = { address: "alice@posthorn.test", password: "correct horse battery staple" };
const CAROL = { address: "carol@hub.test", password: "another password" };
const POSTFIX_ADDRESS = "127.0.0.2";
const HUB_ADDRESS = "127.0.0.4";
const MAILBOXES = ["bob", "dave", "eve"];
const RECORDS = [
  "postfix MX 10 mx.postfix",
  `mx.postfix A ${POSTFIX_ADDRESS}`,
  "hub MX 10 mx.hub",
  "misnamed MX 10 other.hub",
  `mx.hub A ${HUB_ADDRESS}`,
  `other.hub A ${HUB_ADDRESS}`,
];

/** Makes a message to one recipient. */
function message(to: string, mail: readonly string[], content?: string): SmtplibMessage {
  const { octets } = awkwardMessage({ from: ALICE.address, to, subject: `to ${to}`, is8bit: false });
  const isChunked = content !== undefined;
  return {
    from: ALICE.address,
    mail,
    to: [[to]],
    content: isChunked ? latin1Octets(content) : octets,
    ...(isChunked ? { chunkOctets: 1_000 } : {}),
  };
}

peerTest(
  "Demands that Postfix does not meet come back, what it can take arrives, and REQUIRETLS goes where DNSSEC leads",
  [
    ...["root", "unshare", "nsenter", "ip", "postfix", "knotd", "keymgr", "kdig", "unbound", "openssl"] as const,
    ...["python", "flufl.bounce"] as const,
  ],
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
    for (const name of ["postfix", "dns", "tls"]) await Deno.mkdir(`${folder}/${name}`);
    const authority = await TestAuthority.create(`${folder}/tls`);
    const namespace = stack.use(await Namespace.create());
    const { prefix } = namespace;
    const unsigned = ["plain.unsigned. MX 10 mx.hub.test."];
    const lab = stack.use(await DnsLab.start(namespace, `${folder}/dns`, RECORDS, unsigned));
    const certificate = await authority.issue("mx.postfix.test", ["DNS:mx.postfix.test"]);
    const postfix = stack.use(
      await Postfix.start({
        namespace,
        folder: `${folder}/postfix`,
        address: POSTFIX_ADDRESS,
        hostname: "mx.postfix.test",
        domain: "postfix.test",
        mailboxes: MAILBOXES,
        certificate,
      }),
    );
    const hub = stack.use(
      await PosthornProcess.start({
        prefix,
        listeners: [{ service: "mx", host: HUB_ADDRESS, port: 25 }],
        accounts: [CAROL],
        config: {
          hostname: "mx.hub.test",
          domains: { "hub.test": {}, "misnamed.test": { alias_of: "hub.test" } },
          tls: { certificates: [await authority.issue("mx.hub.test", ["DNS:mx.hub.test"])] },
        },
      }),
    );
    const names = ["DNS:localhost", "IP:127.0.0.1"];
    const posthorn = stack.use(
      await PosthornProcess.start({
        prefix,
        listeners: [{ service: "submission", tls: "implicit" }],
        accounts: [ALICE],
        config: {
          hostname: "mx.posthorn.test",
          domains: { "posthorn.test": {} },
          binary_mime: true,
          tls: { certificates: [await authority.issue("mx.posthorn.test", names)] },
          queue: { retry: ["1h"], warn_after: "2h", expire_after: "1d" },
        },
        env: { DENO_CERT: authority.file, NODE_EXTRA_CA_CERTS: authority.file },
      }),
    );
    // Signed and verified here, and not there.
    assertMatch(await lab.ask("hub.test", "MX"), /flags:.* ad[ ;]/i);
    assertEquals(/flags:.* ad[ ;]/i.test(await lab.ask("plain.unsigned", "MX")), false);

    const header = `From: <${ALICE.address}>\r\nSubject: octets\r\nMIME-Version: 1.0\r\n\r\n`;
    const text = `${header}.only lines of text\r\n\xff\r\n`;
    const server = { prefix, port: posthorn.port("submission", "implicit"), caFile: authority.file, login: ALICE };
    const replies = await sendWithSmtplib(server, [
      message("bob@postfix.test", ["BY=300;R"]),
      message("bob@postfix.test", ["BY=300;N"]),
      message("dave@postfix.test", ["BODY=BINARYMIME", "RET=FULL"], `${header}NUL \0, bare LF \n, bare CR \r.`),
      message("dave@postfix.test", ["BODY=BINARYMIME"], text),
      message("eve@postfix.test", ["REQUIRETLS", "RET=FULL"]),
      message("eve@postfix.test", []),
      message("carol@plain.unsigned", ["REQUIRETLS"]),
      message(CAROL.address, ["REQUIRETLS"]),
      message("carol@misnamed.test", ["REQUIRETLS"]),
    ]);
    assertEquals(replies.filter((reply) => !reply.startsWith("250 2.")), []);

    const detail = (): string => `${posthorn.log}\n${hub.log}`;
    const maildir = posthorn.maildir(ALICE.address);
    await maildir.waitFor(4, { timeoutMs: 30_000, detail });
    const files = (await maildir.names()).map((name) => `${maildir.path}/new/${name}`);
    const reports = await Promise.all(files.map(async (file) => {
      const { recipients: [first], originalType } = await readWithPython(file);
      const recipient = (await readWithFlufl(file)).join(" ");
      return `${recipient} ${first?.["action"]} ${first?.["status"]} ${originalType}`;
    }));
    assertEquals(reports.sort(), [
      "bob@postfix.test failed 5.3.3 text/rfc822-headers",
      "carol@plain.unsigned failed 5.7.30 text/rfc822-headers",
      "dave@postfix.test failed 5.6.3 text/rfc822-headers",
      "eve@postfix.test failed 5.7.30 text/rfc822-headers",
    ]);
    for (const name of MAILBOXES) {
      const [arrived, ...more] = await postfix.maildir(name).waitFor(1, { detail });
      assertEquals(more.length, 0);
      if (name === "dave") assert(arrived?.text.endsWith(text), arrived?.text);
    }
    const [arrived, ...more] = await hub.maildir(CAROL.address).waitFor(1, { detail });
    assertEquals(more.length, 0);
    assertMatch(arrived?.text ?? "", /^Received: from mx\.posthorn\.test .*\r\n\tby mx\.hub\.test .* with ESMTPS /m);
    // A name that is signed is not enough where the certificate is for another.
    await waitUntil(
      () => /delayed for carol@misnamed\.test .*status 4\.7\.5: Cannot verify/.test(posthorn.log) || undefined,
      {
        what: "a certificate that is not believed",
        detail,
      },
    );
    assertEquals((await posthorn.queueFiles()).length, 1);
  },
);
