import { assert, assertEquals, assertRejects } from "@std/assert";
import type { DirectDelivery, DirectMessage, DirectStream } from "../../../lib/queue/direct_delivery.ts";
import { Intake, type Stored } from "../../../lib/queue/intake.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { openSpool, outcome, sampleContent, sampleEnvelope } from "../../support/queue_samples.ts";

const PIECE = 30_000;
const CONTENT = sampleContent(200_000);
const DELIVERED = outcome("delivered", "2.0.0");

/** A mailbox that notes what it is given. */
class FakeMailbox {
  readonly pieces: Uint8Array[] = [];
  opened: DirectMessage | undefined;
  isAborted = false;
  isAnnounced = false;
  /** Makes a write fail from this one on. */
  failsFrom = Infinity;
  outcome: Outcome = DELIVERED;

  get octets(): number {
    return this.pieces.reduce((sum, { length }) => sum + length, 0);
  }

  direct(opens: (stream: DirectStream) => DirectStream | Outcome | undefined): DirectDelivery {
    return {
      deliver: () => Promise.resolve({ kind: "delivered", announce: (): void => {} }),
      open: (message) => {
        this.opened = message;
        return Promise.resolve(opens({
          write: (piece) => {
            if (this.pieces.length >= this.failsFrom) return Promise.reject(new Error("the disk says no"));
            this.pieces.push(piece.slice());
            return Promise.resolve();
          },
          finish: () => Promise.resolve(this.outcome),
          abort: () => {
            this.isAborted = true;
            return Promise.resolve();
          },
          announce: () => {
            this.isAnnounced = true;
          },
        }));
      },
    };
  }
}

interface Course {
  readonly stored: Stored;
  /** Files of the spool when it was over. */
  readonly files: readonly string[];
}

async function take(
  direct: DirectDelivery,
  { content = CONTENT, hasHeader = true }: { readonly content?: Uint8Array; readonly hasHeader?: boolean } = {},
): Promise<Course> {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const envelope = sampleEnvelope();
  const intake = new Intake({
    reception: spool.receive(),
    direct,
    draft: () => hasHeader ? { envelope, header: content.subarray(0, 100) } : undefined,
  });
  try {
    for (let at = 0; at < content.length; at += PIECE) await intake.write(content.subarray(at, at + PIECE));
    assertEquals(intake.octets, content.length);
    const stored = await intake.commit(envelope);
    if (stored.kind === "taken") stored.announce();
    return { stored, files: [...files.tree("/data/spool").keys()].filter((path) => !path.endsWith("/lock")) };
  } finally {
    await intake.abort();
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(pieces.flatMap((piece) => [...piece]));
}

Deno.test("a long message for one mailbox is written there while it comes, and the spool has no file of it", async () => {
  const mailbox = new FakeMailbox();
  const { stored, files } = await take(mailbox.direct((stream) => stream));
  assertEquals(stored.kind, "taken");
  assertEquals(files, []);
  assertEquals(joined(mailbox.pieces), CONTENT);
  assertEquals(mailbox.opened?.content.octets, 100, "the header section decides where it goes");
  assert(mailbox.isAnnounced);
});

Deno.test("a long message that its mailbox does not take in this way is in the spool, whole", async () => {
  const mailbox = new FakeMailbox();
  const { stored } = await take(mailbox.direct(() => undefined));
  assert(stored.kind === "taken" && stored.queued !== undefined);
  assertEquals(stored.queued.content.octets, CONTENT.length);
  assertEquals(mailbox.pieces, []);
});

Deno.test("a long message whose header section is not known goes through the spool", async () => {
  const mailbox = new FakeMailbox();
  const { stored } = await take(mailbox.direct((stream) => stream), { hasHeader: false });
  assert(stored.kind === "taken" && stored.queued !== undefined);
  assertEquals(mailbox.opened, undefined);
});

Deno.test("a long message that its mailbox refuses is read to its end and kept nowhere", async () => {
  const mailbox = new FakeMailbox();
  const refusal = outcome("failed", "5.4.6", "a loop");
  const { stored, files } = await take(mailbox.direct(() => refusal));
  assertEquals(stored, { kind: "refused", outcome: refusal });
  assertEquals(files, []);
});

Deno.test("a long message that cannot be published in the end is told so to its client, and forgotten", async () => {
  const mailbox = new FakeMailbox();
  mailbox.outcome = outcome("delayed", "4.2.2", "full");
  const { stored, files } = await take(mailbox.direct((stream) => stream));
  assertEquals(stored, { kind: "refused", outcome: mailbox.outcome });
  assert(mailbox.isAborted && !mailbox.isAnnounced);
  assertEquals(files, []);
});

for (const failsFrom of [0, 3]) {
  Deno.test(`a disk that fails at write ${failsFrom} of a long message fails the whole of it`, async () => {
    const mailbox = new FakeMailbox();
    mailbox.failsFrom = failsFrom;
    await assertRejects(() => take(mailbox.direct((stream) => stream)), Error, "the disk says no");
    assert(mailbox.isAborted);
  });
}

Deno.test("a short message is complete before anything is written", async () => {
  const mailbox = new FakeMailbox();
  const { stored, files } = await take(mailbox.direct((stream) => stream), { content: sampleContent(60_000) });
  assertEquals(stored.kind, "taken");
  assertEquals([mailbox.opened, files], [undefined, []]);
});

Deno.test("what streams into a mailbox is never copied", async () => {
  const seen = new Set<ArrayBufferLike>();
  const mailbox = new FakeMailbox();
  const direct = mailbox.direct((stream) => ({
    ...stream,
    write: (piece) => {
      seen.add(piece.buffer);
      return stream.write(piece);
    },
  }));
  await take(direct);
  // That of the client, and that of what came before it was known to be long.
  assertEquals([seen.size, seen.has(CONTENT.buffer)], [2, true]);
});
