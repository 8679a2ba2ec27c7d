/** A destination that is down is one thing, not hundreds of messages: it is probed now and then, and others do not notice. */

import { assert, assertEquals } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { BadPeers } from "../support/interop/bad_peers.ts";
import { DnsLab } from "../support/interop/dns_lab.ts";
import { awkwardMessage } from "../support/interop/messages.ts";
import { Namespace } from "../support/interop/namespace.ts";
import { peerTest, report } from "../support/interop/peers.ts";
import { sendWithSmtplib } from "../support/interop/smtplib.ts";
import { TemporaryFolder } from "../support/interop/temporary_folder.ts";
import { waitUntil } from "../support/interop/wait.ts";

const SENDER = "sender@posthorn.test";
const POSTHORN_ADDRESS = "127.0.0.3";
/** Three domains at one MX site. */
const DOMAINS = ["one", "two", "three"];
const MESSAGES = 200;
const DOWN_MS = 10_000;
const RECORDS = [
  ...DOMAINS.map((domain) => `${domain} MX 10 mx.dead`),
  "mx.dead A 127.0.1.1",
  "alive MX 10 mx.alive",
  "mx.alive A 127.0.1.2",
];

peerTest(
  "200 messages for a destination that is down make few connections, others flow, and all arrive soon after it is back",
  ["root", "unshare", "nsenter", "ip", "knotd", "keymgr", "kdig", "unbound", "python"],
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TemporaryFolder.create({ isPublic: true })).path;
    const namespace = stack.use(await Namespace.create());
    stack.use(await DnsLab.start(namespace, folder, RECORDS));
    const peers = stack.use(
      await BadPeers.start(namespace, [
        { name: "dead", host: "127.0.1.1", fault: "greeting-drop", healsAfterMs: DOWN_MS },
        { name: "alive", host: "127.0.1.2" },
      ]),
    );
    const posthorn = stack.use(
      await PosthornProcess.start({
        prefix: namespace.prefix,
        listeners: [{ service: "mx", host: POSTHORN_ADDRESS, port: 25 }],
        config: {
          hostname: "mx.posthorn.test",
          domains: { "posthorn.test": {} },
          relay_from: ["127.0.0.0/8"],
          queue: { retry: ["1s", "4s"], warn_after: "1h", expire_after: "2h" },
        },
      }),
    );
    const detail = (): string => `${posthorn.log}\n${peers.log}`;
    const send = async (recipients: readonly string[]): Promise<void> => {
      const replies = await sendWithSmtplib(
        { prefix: namespace.prefix, host: POSTHORN_ADDRESS, port: 25 },
        recipients.map((to) => ({
          from: SENDER,
          to: [[to]],
          content: awkwardMessage({ from: SENDER, to, subject: "for one who is down", is8bit: false }).octets,
        })),
      );
      assertEquals(replies.filter((reply) => !reply.startsWith("250 2.")), []);
    };
    const arrived = async (recipients: readonly string[], timeoutMs: number): Promise<void> => {
      await waitUntil(() => recipients.every((to) => peers.takersOf(to).length > 0) || undefined, {
        what: `mail for ${recipients.length} recipients, the first of them ${recipients[0]}`,
        timeoutMs,
        everyMs: 100,
        detail,
      });
    };

    const toDead = Array.from({ length: MESSAGES }, (_, number) => `u${number}@${DOMAINS[number % 3]}.test`);
    const early = Array.from({ length: 20 }, (_, number) => `early${number}@alive.test`);
    const late = Array.from({ length: 20 }, (_, number) => `late${number}@alive.test`);
    await send([...toDead, ...early]);
    await arrived(early, 5_000);
    await send(late);
    await arrived(late, 5_000);
    assertEquals((await posthorn.queueFiles()).length, MESSAGES, "the others wait");
    const whileDown = peers.connectionsTo("dead");
    assert(whileDown >= 1 && whileDown <= 15, `${whileDown} connections for ${MESSAGES} messages\n${detail()}`);

    await arrived(toDead, DOWN_MS + 30_000);
    await posthorn.waitForEmptyQueue();
    assertEquals(toDead.filter((to) => peers.takersOf(to).join() !== "dead"), [], "each arrived once");
    const inAll = peers.connectionsTo("dead");
    assert(inAll <= 100, `${inAll} connections for ${MESSAGES} messages\n${detail()}`);
    await report(`dead destination: ${MESSAGES} messages, ${whileDown} connections while it was down, ${inAll} in all`);
  },
);
