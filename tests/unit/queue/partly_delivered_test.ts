import { assertEquals, assertRejects } from "@std/assert";
import { Intake } from "../../../lib/queue/intake.ts";
import type { Reception } from "../../../lib/queue/spool.ts";
import { sampleContent, sampleEnvelope } from "../../support/queue_samples.ts";

Deno.test("Where the spool fails for some recipients, the log says which mailboxes have the message already", async () => {
  const envelope = sampleEnvelope(["a@here.example", "b@here.example"]);
  const reception: Reception = {
    queueId: "Q1",
    octets: 100,
    inMemory: sampleContent(100),
    write: () => undefined,
    commit: () => Promise.reject(new Error("Read-only file system (os error 30)")),
    abort: () => Promise.resolve(),
  };
  let announced = 0;
  const announce = (): void => void announced++;
  const intake = new Intake({
    reception,
    direct: {
      deliver: () => Promise.resolve({ kind: "left", envelope, announce }),
      open: () => Promise.resolve(undefined),
    },
    draft: () => undefined,
  });
  await assertRejects(() => intake.commit(envelope), Error, "Read-only");
  assertEquals(announced, 1);
});
