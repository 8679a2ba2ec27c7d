/**
 * kill -9 at random moments while mail comes in, is delivered and is relayed. What was acknowledged has to arrive whole,
 * and nothing half-written may ever be seen. Several kills hit the same spool, so that recovery meets its own remains.
 */

import { assert, assertEquals } from "@std/assert";
import { PosthornProcess } from "../support/posthorn_process.ts";
import { checkedLoadNumber, Load } from "../support/interop/load.ts";
import { latin1, type Maildir } from "../support/interop/maildir.ts";
import { report } from "../support/interop/peers.ts";
import { SmtpSink } from "../support/interop/sink.ts";
import { pause } from "../support/interop/wait.ts";

const SPOOLS = 10;
const KILLS_PER_SPOOL = 21;
/** Spools tried at the same time. */
const LANES = 2;
const CLIENTS = 6;
/** Share of the kills that may hit the start-up; the others come while mail flows. */
const EARLY_SHARE = 0.25;
const LATEST_EARLY_KILL_MS = 500;
const LATEST_KILL_MS = 500;

const LOCAL = "alice@example.org";
const REMOTE = "bob@sink.example";
const SENDER = { address: "sender@example.org", password: "correct horse battery staple" };

interface Figures {
  kills: number;
  sent: number;
  acknowledged: number;
  duplicates: number;
}

Deno.test(`kill -9 at ${SPOOLS * KILLS_PER_SPOOL} random moments under load loses, truncates and half-shows nothing`, async () => {
  const started = performance.now();
  const total: Figures = { kills: 0, sent: 0, acknowledged: 0, duplicates: 0 };
  let spools = SPOOLS;
  const lane = async (): Promise<void> => {
    while (spools-- > 0) {
      const figures = await tortureOneSpool();
      for (const key of Object.keys(total) as (keyof Figures)[]) total[key] += figures[key];
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const seconds = Math.round((performance.now() - started) / 1000);
  await report(
    `kill -9: ${total.kills} kills of ${SPOOLS} spools in ${seconds} s; ${total.sent} messages begun, ` +
      `${total.acknowledged} acknowledged, none lost; ${total.duplicates} deliveries twice`,
  );
  assert(total.kills >= 200);
  assert(total.acknowledged > total.kills, "there was load");
});

async function tortureOneSpool(): Promise<Figures> {
  const relayed: number[] = [];
  await using sink = new SmtpSink({
    reply: (step) => {
      if (step.kind === "content") relayed.push(checkedLoadNumber(step.message.text));
      return undefined;
    },
  });
  await using posthorn = await PosthornProcess.start({
    accounts: [SENDER, { address: LOCAL, password: "another password" }],
    listeners: [{ service: "mx" }],
    config: {
      relay_from: ["127.0.0.0/8"],
      routes: [{ domain: "sink.example", via: `smtp://127.0.0.1:${sink.port}` }],
      queue: { retry: ["1s"], warn_after: "1h", expire_after: "2h" },
    },
    isStopped: true,
  });
  const load = new Load({
    port: posthorn.port("mx"),
    reversePath: SENDER.address,
    recipientLists: [[LOCAL], [REMOTE], [LOCAL, REMOTE]],
    clients: CLIENTS,
  });
  const delivered = new MaildirWatch(posthorn.maildir(LOCAL));
  try {
    for (let kill = 0; kill < KILLS_PER_SPOOL; kill++) {
      posthorn.spawn();
      const isEarly = Math.random() < EARLY_SHARE;
      if (!isEarly) await posthorn.ready();
      await pause(Math.random() * (isEarly ? LATEST_EARLY_KILL_MS : LATEST_KILL_MS));
      await posthorn.kill("SIGKILL");
      await delivered.check();
      await checkQueue(posthorn);
      sink.messages.length = 0;
    }
  } finally {
    await load.stop();
  }
  await posthorn.restart();
  await posthorn.waitForEmptyQueue(120_000);
  await delivered.check();
  const local = new Set(delivered.numbers);
  const remote = new Set(relayed);
  const missing = [...load.acknowledged].filter(([number, recipients]) =>
    (recipients.includes(LOCAL) && !local.has(number)) ||
    (recipients.includes(REMOTE) && !remote.has(number))
  );
  assertEquals(missing, [], `acknowledged, but never arrived\n${posthorn.log.slice(-20_000)}`);
  assertEquals(await posthorn.maildir(SENDER.address).names(), [], "nothing bounced");
  for (const folder of ["incoming", "broken"]) assertEquals(await filesIn(posthorn, folder), [], folder);
  const status = await posthorn.kill("SIGTERM");
  assertEquals(status.code, 0);
  return {
    kills: KILLS_PER_SPOOL,
    sent: load.sent,
    acknowledged: load.acknowledged.size,
    duplicates: repeated(delivered.numbers) + repeated(relayed),
  };
}

/** Reads each new message of a Maildir once. */
class MaildirWatch {
  readonly #maildir: Maildir;
  readonly #seen = new Set<string>();
  /** Numbers of the messages found, in the order of finding. */
  readonly numbers: number[] = [];

  constructor(maildir: Maildir) {
    this.#maildir = maildir;
  }

  /** @throws {Error} When a message in `new/` is not whole. */
  async check(): Promise<void> {
    for (const name of await this.#maildir.names()) {
      if (this.#seen.has(name)) continue;
      this.#seen.add(name);
      this.numbers.push(checkedLoadNumber((await this.#maildir.read(name)).text));
    }
  }
}

/** Every file in the queue of a dead process holds a whole content and a whole envelope; the journal may be torn. */
async function checkQueue(posthorn: PosthornProcess): Promise<void> {
  for (const file of await posthorn.queueFiles()) {
    const text = latin1(await Deno.readFile(file));
    const head = /^posthorn-spool 1 (\d{12})\n/.exec(text);
    assert(head, `${file} begins with ${JSON.stringify(text.slice(0, 40))}`);
    const end = head[0].length + Number(head[1]);
    checkedLoadNumber(text.slice(head[0].length, end));
    const [envelope = "", ...journal] = text.slice(end).split("\n");
    assert(journal.length > 0 && "envelope" in JSON.parse(envelope), `${file} has no whole envelope: ${envelope}`);
  }
}

async function filesIn(posthorn: PosthornProcess, folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(`${posthorn.dataFolder}/spool/${folder}`)) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names;
}

function repeated(numbers: readonly number[]): number {
  return numbers.length - new Set(numbers).size;
}
