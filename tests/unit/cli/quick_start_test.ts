import { assertEquals, assertMatch } from "@std/assert";
import { makeFirstMailbox, quickStartText } from "../../../lib/cli/quick_start.ts";
import { loadConfig } from "../../../lib/config/load.ts";
import { systemClock } from "../../../lib/system/clock.ts";
import { systemFiles } from "../../../lib/system/files.ts";
import { processIo } from "../../../lib/cli/find_config.ts";

Deno.test("the first mailbox is made once, also where the folder of the accounts file is not there yet", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/posthorn.yaml`;
    await Deno.writeTextFile(
      file,
      "hostname: mx.example.org\ndomains: { example.org: {} }\naccounts: etc/accounts.yaml\nquick_start: alice@example.org\n",
    );
    const config = await loadConfig(file, processIo);
    assertMatch(await makeFirstMailbox(config, processIo, systemFiles, systemClock) ?? "", /^[a-z2-9]{16}$/);
    assertMatch(await Deno.readTextFile(`${folder}/etc/accounts.yaml`), /alice@example\.org/);
    assertEquals(await makeFirstMailbox(config, processIo, systemFiles, systemClock), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the sample message is from a domain that has no DMARC policy, because it does not exist", async () => {
  const config = await loadConfig(`${import.meta.dirname}/../../../config.example.yaml`, processIo);
  const text = quickStartText(config, undefined) ?? "";
  const senders = Array.from(text.matchAll(/(?:--mail-from |From: You <)([^ >]+)/g), ([, sender]) => sender);
  assertEquals(senders, ["you@sender.example", "you@sender.example"]);
});
