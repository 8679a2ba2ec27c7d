/** What every spool has to do. An implementation runs it with a way to open the same store again. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Spool } from "../../../lib/queue/spool.ts";
import {
  delayedEvent,
  outcome,
  put,
  readContent,
  recoverAll,
  sampleContent,
  sampleEnvelope,
} from "../../support/queue_samples.ts";

/** One store, which each call of `open` opens again; the one before was disposed. */
export interface SpoolStore extends AsyncDisposable {
  open(): Promise<Spool>;
}

/** Registers the tests. */
export function testSpool(name: string, makeStore: () => Promise<SpoolStore>): void {
  const test = (title: string, run: (store: SpoolStore) => Promise<void>): void => {
    Deno.test(`${name}: ${title}`, async () => {
      await using store = await makeStore();
      await run(store);
    });
  };

  for (const octets of [0, 1, 2_000, 131_072, 131_073, 1_000_000]) {
    test(`content of ${octets} octets comes back as it was`, async (store) => {
      const content = sampleContent(octets);
      let queueId = "";
      {
        await using spool = await store.open();
        const message = await put(spool, sampleEnvelope(), content, 70_001);
        queueId = message.queueId;
        assertEquals(await readContent(message), content);
      }
      await using spool = await store.open();
      const message = await spool.load(queueId);
      assert(message !== undefined);
      assertEquals(message.content.octets, octets);
      assertEquals(await readContent(message), content);
      assertEquals(await readContent(message), content, "read a second time");
    });
  }

  test("the caller may reuse its buffer at once", async (store) => {
    await using spool = await store.open();
    const buffer = new Uint8Array(100_000);
    const reception = spool.receive();
    for (let i = 1; i <= 5; i++) {
      buffer.fill(i);
      await reception.write(buffer);
    }
    assertEquals(reception.octets, 500_000);
    const content = await readContent(await reception.commit(sampleEnvelope()));
    for (let i = 1; i <= 5; i++) assert(content.subarray((i - 1) * 100_000, i * 100_000).every((octet) => octet === i));
  });

  test("the envelope comes back with all its fields", async (store) => {
    const envelope = sampleEnvelope([], {
      reversePath: "",
      ret: "HDRS",
      envid: "id with spaces\nand “more”",
      smtpUtf8: true,
      recipients: [
        { address: "ü@例え.example", original: "sales@example.org", orcpt: "rfc822;x@example.org", notify: "never" },
        { address: "b@example.org", notify: ["failure", "delay"] },
      ],
    });
    await using spool = await store.open();
    const { queueId } = await put(spool, envelope);
    assertEquals((await spool.load(queueId))?.envelope, envelope);
  });

  test("an aborted message leaves no trace", async (store) => {
    await using spool = await store.open();
    for (const octets of [10, 1_000_000]) {
      const reception = spool.receive();
      await reception.write(sampleContent(octets));
      await reception.abort();
      await reception.abort();
      await assertRejects(() => reception.commit(sampleEnvelope()));
      assertEquals(await spool.load(reception.queueId), undefined);
    }
    assertEquals((await recoverAll(spool)).size, 0);
  });

  test("a message that is not committed does not exist after the next start", async (store) => {
    {
      await using spool = await store.open();
      await spool.receive().write(sampleContent(1_000_000));
    }
    await using spool = await store.open();
    assertEquals((await recoverAll(spool)).size, 0);
  });

  test("abort after commit changes nothing", async (store) => {
    await using spool = await store.open();
    const reception = spool.receive();
    await reception.commit(sampleEnvelope());
    await reception.abort();
    assert(await spool.load(reception.queueId) !== undefined);
  });

  test("events change the state of recipients, also after the next start", async (store) => {
    let queueId = "";
    {
      await using spool = await store.open();
      ({ queueId } = await put(spool, sampleEnvelope(["a@x.example", "b@x.example", "c@x.example"])));
      await spool.append(queueId, [delayedEvent("450 later", [0, 2])]);
      await spool.append(queueId, [
        { event: "attempt", at: "2026-01-01T00:00:02.000Z", recipients: [1], outcome: outcome("failed", "5.1.1") },
        { event: "reported", at: "2026-01-01T00:00:03.000Z", recipients: [1], kind: "failed" },
      ]);
    }
    await using spool = await store.open();
    const [message] = (await recoverAll(spool)).values();
    assertEquals(message?.queueId, queueId);
    const [first, second, third] = message?.recipients ?? [];
    assertEquals(first?.attempts, 1);
    assertEquals(first?.lastOutcome?.text, "450 later");
    assertEquals(first?.nextAttemptMs, Date.parse("2026-01-01T00:05:01Z"));
    assertEquals(second?.lastOutcome?.action, "failed");
    assertEquals(second?.isReported, true);
    assertEquals(third?.isReported, false);
  });

  test("appends to one message at the same time are all recorded", async (store) => {
    await using spool = await store.open();
    const { queueId } = await put(spool);
    await Promise.all(Array.from({ length: 20 }, (_, i) => spool.append(queueId, [delayedEvent(`attempt ${i}`)])));
    assertEquals((await spool.load(queueId))?.recipients[0]?.attempts, 20);
  });

  test("a removed message is gone, and removing it again is no error", async (store) => {
    await using spool = await store.open();
    const { queueId } = await put(spool);
    await spool.remove(queueId);
    await spool.remove(queueId);
    assertEquals(await spool.load(queueId), undefined);
    await assertRejects(() => spool.append(queueId, [delayedEvent()]), Deno.errors.NotFound);
    assertEquals((await recoverAll(spool)).size, 0);
  });

  test("an id that is none finds nothing, wherever it points", async (store) => {
    await using spool = await store.open();
    for (const id of ["", "..", "../lock", "/etc/passwd", "zzzzzzzzzzzzzzzz", "a".repeat(16)]) {
      assertEquals(await spool.load(id), undefined);
      await spool.remove(id);
      await assertRejects(() => spool.append(id, [delayedEvent()]), Deno.errors.NotFound);
    }
  });

  test("many messages at the same time are all there, each with its own id", async (store) => {
    const ids: Set<string> = new Set();
    {
      await using spool = await store.open();
      const put100 = Array.from({ length: 100 }, (_, i) => put(spool, sampleEnvelope(), sampleContent(50 + i, i)));
      for (const { queueId } of await Promise.all(put100)) ids.add(queueId);
    }
    assertEquals(ids.size, 100);
    await using spool = await store.open();
    const found = await recoverAll(spool);
    assertEquals(new Set(found.keys()), ids);
    for (const message of found.values()) assertEquals((await readContent(message)).length, message.content.octets);
  });
}
